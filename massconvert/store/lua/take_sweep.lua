-- include: _full
-- include: _time
-- Takes the right to sweep: one worker at a time does it, by the ledger's clock.
-- KEYS[1] prefix
-- ARGV[1] now, [2] seconds for which it is taken
-- Returns 1, or 0 when somebody else has it.
local key, now = KEYS[1] .. 'sweep', time_of(ARGV[1])
if tonumber(redis.call('GET', key) or 0) > now then return 0 end
redis.call('SET', key, now + tonumber(ARGV[2]), 'PX', math.ceil(tonumber(ARGV[2]) * 1000) + 60000)
return 1
