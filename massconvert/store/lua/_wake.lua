-- Wakes one who waits for a permit of this kind.
local function wake(p, kind)
  local key = p .. 'permits:wake:' .. kind
  redis.call('RPUSH', key, '1')
  redis.call('LTRIM', key, 0, 99) -- more than any limit
  redis.call('PEXPIRE', key, 60000)
end

