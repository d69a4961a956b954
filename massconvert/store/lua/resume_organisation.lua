-- include: _full
-- include: _time
-- A person lets calls to Zoho go on: ends the pause, opens the gate, ends the hold in which Zoho is given the time that it
-- asked for, and has any other find out now whether it must go on. What waits to be sent comes now.
-- KEYS[1] prefix
-- ARGV[1] now
-- Returns {1 when there was a pause, 1 when the gate was closed or Zoho had asked for time}; safe to repeat.
local p, now = KEYS[1], time_of(ARGV[1])
local paused, opened = redis.call('DEL', p .. 'pause'), 0
if (tonumber(redis.call('HGET', p .. 'gate', 'until') or '') or 0) > now then opened = 1 end
redis.call('DEL', p .. 'gate')
local hold = redis.call('HMGET', p .. 'hold', 'kind', 'by')
if hold[1] == 'asked' then
  redis.call('DEL', p .. 'hold')
  opened = 1
elseif hold[1] and not hold[2] then
  redis.call('HSET', p .. 'hold', 'probe', now)
end
for _, id in ipairs(redis.call('SMEMBERS', p .. 'unsent')) do -- as many as the window has
  local key = p .. 'chunk:' .. id
  local c = redis.call('HMGET', key, 'state', 'lease', 'due')
  if c[1] == 'waiting' and not c[2] and (tonumber(c[3] or '') or 0) > now then
    redis.call('HSET', key, 'due', now, 'expected', now)
    redis.call('ZADD', p .. 'due', now, id)
  end
end
return { paused, opened }
