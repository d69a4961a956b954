-- include: _time
-- Why nobody calls but one probe at a time (policy/permits.py); another word was not written by us.
local HOLDS = { outage = true, credits = true, asked = true }

-- Wakes one waiter for a permit on this list.
local function push(p, list)
  local key = p .. 'permits:wake:' .. list
  redis.call('RPUSH', key, '1')
  redis.call('LTRIM', key, 0, 99) -- more than any limit
  redis.call('PEXPIRE', key, 60000)
end

-- Wakes the waiter that may have a free permit: an interactive payload that waits, three times in four; else, on each of
-- `lists`, the one that has waited there for longest, which may be that payload too.
local function wake(p, lists)
  if redis.call('EXISTS', p .. 'permits:express') == 1 then
    local turn = redis.call('INCR', p .. 'permits:turn')
    redis.call('PEXPIRE', p .. 'permits:turn', 60000)
    if turn % 4 ~= 0 then lists = { 'express' } end
  end
  for _, list in ipairs(lists) do push(p, list) end
end
