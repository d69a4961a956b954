-- include: _full
-- include: _time
-- Hands a run out to one worker, if it is due and nobody holds it.
-- KEYS[1] prefix
-- ARGV[1] run id, [2] token, [3] now, [4] lease seconds, [5] longest countdown of a message, [6] sweep grace seconds,
-- [7] seconds between the probes of a paused organisation
-- Returns {"claimed", fields and values...}, {"gone"}, {"held"}, {"paused"}, {"covered"} (too early, and another message
-- is expected), or {"early", seconds until this message must come again}.
local p, now = KEYS[1], time_of(ARGV[3])
local key = p .. 'run:' .. ARGV[1]
local r = redis.call('HMGET', key, 'state', 'due', 'lease', 'expected')
if r[1] ~= 'finding' then return { 'gone' } end
if r[3] and tonumber(r[3]) > now then return { 'held' } end
local slack = 0.1
local due = tonumber(r[2])
if due > now + slack then
  if tonumber(r[4]) > now + slack then return { 'covered' } end -- else messages that were doubled would double again
  local wait = math.min(due - now, tonumber(ARGV[5]))
  redis.call('HSET', key, 'expected', now + wait)
  redis.call('ZADD', p .. 'runs:due', now + wait + tonumber(ARGV[6]), ARGV[1])
  return { 'early', tostring(wait) }
end
if redis.call('EXISTS', p .. 'pause') == 1 then -- the sweep sends a message when that has ended
  local probe = redis.call('HGET', p .. 'pause', 'probe')
  if (tonumber(probe or '') or math.huge) > now then return { 'paused' } end
  redis.call('HSET', p .. 'pause', 'probe', now + tonumber(ARGV[7]), 'by', ARGV[2]) -- there may be no chunk to find out with
end
local till = now + tonumber(ARGV[4])
redis.call('HSET', key, 'lease', till, 'token', ARGV[2])
redis.call('ZADD', p .. 'runs:due', till, ARGV[1])
local answer = redis.call('HGETALL', key)
table.insert(answer, 1, 'claimed')
return answer
