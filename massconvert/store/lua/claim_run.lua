-- include: _full
-- include: _time
-- include: _lease
-- Hands a run out to one worker, if it is due and nobody holds it.
-- KEYS[1] prefix
-- ARGV[1] run id, [2] token, [3] now, [4] lease seconds, [5] seconds between the probes of a paused organisation,
-- [6] longest countdown of a message, [7] sweep grace seconds
-- Returns {"claimed", fields and values...}, {"gone"}, {"paused"}, or why_not it is handed out.
local p, id, now = KEYS[1], ARGV[1], time_of(ARGV[3])
local key, queue = p .. 'run:' .. id, p .. 'runs:due'
if redis.call('HGET', key, 'state') ~= 'finding' then return { 'gone' } end
local values = redis.call('HMGET', key, 'due', 'expected', 'lease')
local why = why_not(queue, id, key, values, now, tonumber(ARGV[6]), tonumber(ARGV[7]))
if why then return why end
if is_at_rest(p, now) then return { 'paused' } end
lease_to(p, queue, id, key, ARGV[2], now, tonumber(ARGV[4]), tonumber(ARGV[5]))
local answer = redis.call('HGETALL', key)
table.insert(answer, 1, 'claimed')
return answer
