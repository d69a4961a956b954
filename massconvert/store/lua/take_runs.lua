-- include: _full
-- include: _time
-- Takes the runs for which no message came in time, and expects one for each soon.
-- KEYS[1] prefix
-- ARGV[1] now, [2] most runs, [3] seconds until the sweep looks again
-- Returns a flat list: run id, profile.
-- While the organisation is paused: nothing, but one run when its probe is due.
local p, now, most = KEYS[1], time_of(ARGV[1]), ARGV[2]
local found = {}
if redis.call('EXISTS', p .. 'pause') == 1 then
  local probe = redis.call('HGET', p .. 'pause', 'probe')
  if (tonumber(probe or '') or math.huge) > now then return found end
  most = 1
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'runs:due', '-inf', now, 'LIMIT', 0, most)) do
  local profile = redis.call('HGET', p .. 'run:' .. id, 'profile')
  if profile then
    redis.call('ZADD', p .. 'runs:due', now + tonumber(ARGV[3]), id)
    found[#found + 1] = id
    found[#found + 1] = profile
  else
    redis.call('ZREM', p .. 'runs:due', id)
  end
end
return found
