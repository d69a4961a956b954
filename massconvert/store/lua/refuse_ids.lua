-- Records ids of a batch that are not ids: each ends at once.
-- KEYS[1] prefix
-- ARGV[1] batch id, then pairs: what was given, outcome JSON
-- Returns how many were new.
local key = KEYS[1] .. 'batch:' .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return redis.error_reply('UNKNOWN_BATCH ' .. ARGV[1]) end
local new = 0
for i = 2, #ARGV, 2 do
  new = new + redis.call('HSET', key .. ':invalid', ARGV[i], ARGV[i + 1])
end
if new > 0 then
  redis.call('HINCRBY', key, 'total', new)
  redis.call('HINCRBY', key, 'failed', new)
end
return new
