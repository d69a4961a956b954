-- Closes the gate: nobody gets a permit until then. A gate that is closed for longer already stays so.
-- KEYS[1] prefix
-- ARGV[1] now, [2] seconds, [3] why
-- Returns the seconds until the gate opens.
local key, now, till = KEYS[1] .. 'gate', tonumber(ARGV[1]), tonumber(ARGV[1]) + tonumber(ARGV[2])
local before = tonumber(redis.call('HGET', key, 'until') or '0')
if till > before then
  redis.call('HSET', key, 'until', string.format('%.6f', till), 'why', ARGV[3])
  redis.call('PEXPIRE', key, math.ceil(tonumber(ARGV[2]) * 1000) + 60000) -- `until` decides; this only tidies up
  before = till
end
return tostring(before - now)
