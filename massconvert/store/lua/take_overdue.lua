-- include: _full
-- include: _time
-- include: _lease
-- Takes the chunks or runs for which no message came in time, and expects one for each soon.
-- KEYS[1] prefix
-- ARGV[1] now, [2] most of them, [3] seconds until the sweep looks again, [4] "chunk" or "run"
-- Returns a flat list: id, state, job id or "", profile or "".
-- While the organisation is paused: nothing, but one when its probe is due.
local p, now, most = KEYS[1], time_of(ARGV[1]), tonumber(ARGV[2])
local queue, found = p .. (ARGV[4] == 'run' and 'runs:due' or 'due'), {}
if is_at_rest(p, now) then return found end
if redis.call('EXISTS', p .. 'pause') == 1 then most = 1 end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, most)) do
  local state, job, profile = unpack(redis.call('HMGET', p .. ARGV[4] .. ':' .. id, 'state', 'job', 'profile'))
  if not state or state == 'done' then
    redis.call('ZREM', queue, id)
  else
    redis.call('ZADD', queue, now + tonumber(ARGV[3]), id)
    for _, value in ipairs({ id, state, job or '', profile or '' }) do found[#found + 1] = value end
  end
end
return found
