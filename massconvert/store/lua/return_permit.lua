-- Gives a permit back, and wakes one who waits for it.
-- KEYS[1] prefix
-- ARGV[1] permit id
-- Returns 1 when it was still ours, 0 when its lease had ended.
local p = KEYS[1]

local function wake(list)
  local key = p .. 'permits:wake:' .. list
  redis.call('RPUSH', key, '1')
  redis.call('LTRIM', key, 0, 99) -- more than any limit
  redis.call('PEXPIRE', key, 60000)
end

local ours = redis.call('ZREM', p .. 'permits', ARGV[1])
local post = redis.call('ZREM', p .. 'permits:post', ARGV[1])
if ours == 1 then wake('any') end
if post == 1 then wake('post') end
return ours
