-- include: _time
-- include: _letters
-- Keep a message: one that was refused in the place of the oldest where there is no room; others only where there is.
-- KEYS[1] prefix; ARGV: kind ('refused' or 'stuck'), id, now, facts (JSON), message (JSON), most letters, most bytes
-- Returns 1 when it is kept, 0 when there is no room for it.
local p, kind, id, message = KEYS[1], ARGV[1], ARGV[2], ARGV[5]
local index, most, most_bytes = p .. 'letters:' .. kind, tonumber(ARGV[6]), tonumber(ARGV[7])
local function is_full()
  local count = redis.call('ZCARD', index)
  local bytes = tonumber(redis.call('HGET', p .. 'letters:bytes', kind) or 0)
  return count > 0 and (count >= most or bytes + #message > most_bytes)
end
-- One that is kept already comes from a second delivery, and needs no more room than it has.
if not drop_letter(p, id) and is_full() then
  if kind ~= 'refused' then return 0 end
  while is_full() do drop_letter(p, redis.call('ZRANGE', index, 0, 0)[1]) end
end
redis.call('HSET', p .. 'letter:' .. id, 'kind', kind, 'facts', ARGV[4], 'message', message)
redis.call('ZADD', index, time_of(ARGV[3]), id)
redis.call('HINCRBY', p .. 'letters:bytes', kind, #message)
redis.call('HDEL', p .. 'letters:late', id)
return 1
