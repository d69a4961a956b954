-- include: _full
-- include: _time
-- Takes the chunks for which no message came in time, and expects one for each soon.
-- KEYS[1] prefix
-- ARGV[1] now, [2] most chunks, [3] seconds until the sweep looks again
-- Returns a flat list: chunk id, state, job id or "".
-- While the organisation is paused: nothing, but one chunk when its probe is due.
local p, now, most = KEYS[1], time_of(ARGV[1]), tonumber(ARGV[2])
if redis.call('EXISTS', p .. 'pause') == 1 then
  local probe = redis.call('HGET', p .. 'pause', 'probe')
  if (tonumber(probe or '') or math.huge) > now then return {} end
  most = 1
end
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'due', '-inf', now, 'LIMIT', 0, most)) do
  local c = redis.call('HMGET', p .. 'chunk:' .. id, 'state', 'job')
  if not c[1] or c[1] == 'done' then
    redis.call('ZREM', p .. 'due', id)
  else
    redis.call('ZADD', p .. 'due', now + tonumber(ARGV[3]), id)
    found[#found + 1] = id
    found[#found + 1] = c[1]
    found[#found + 1] = c[2] or ''
  end
end
return found
