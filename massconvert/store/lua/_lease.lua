-- Shared by the scripts of what one worker at a time works on: chunks and runs. Such an item is a hash with `due` (its next
-- step), `expected` (its next message) and `lease` (until when a worker has it). In its queue, a sorted set, stands when the
-- sweep sends another message. We write numbers only: anything else is taken for 0, and who claims the item says so.

local SLACK = 0.1 -- in seconds: a message that comes so little early is in time

-- Whether the organisation is paused, and the probe that finds out whether it still must be is not due yet.
local function is_at_rest(p, now)
  if redis.call('EXISTS', p .. 'pause') == 0 then return false end
  return (tonumber(redis.call('HGET', p .. 'pause', 'probe') or '') or math.huge) > now
end

-- Ends a pause that Zoho's refusal began: it has taken our credentials again. A person's pause has no probe.
local function end_refusal(p)
  if redis.call('HEXISTS', p .. 'pause', 'probe') == 1 then redis.call('DEL', p .. 'pause') end
end

-- Expects the next message of an item when it is due, or after the longest countdown; the sweep looks a grace later.
local function expect(queue, id, key, due, now, longest, grace)
  local expected = math.min(due, now + longest)
  redis.call('HSET', key, 'expected', expected)
  redis.call('ZADD', queue, expected + grace, id)
end

-- Why nobody gets an item with these values {due, expected, lease} now: {"held"} (by another worker), {"covered"} (too
-- early, and another message is expected) or {"early", seconds until this message must come again}; nil: it may be had.
local function why_not(queue, id, key, values, now, longest, grace)
  local due, expected, lease = unpack(values)
  if (tonumber(lease or 0) or 0) > now then return { 'held' } end
  due = tonumber(due or 0) or 0
  if due <= now + SLACK then return nil end
  if (tonumber(expected or 0) or 0) > now + SLACK then return { 'covered' } end -- else doubled messages would double again
  expect(queue, id, key, due, now, longest, grace)
  return { 'early', tostring(math.min(due - now, longest)) }
end

-- Gives an item to the worker with this token; while the organisation is paused, as its probe.
local function lease_to(p, queue, id, key, token, now, seconds, pace)
  if redis.call('EXISTS', p .. 'pause') == 1 then redis.call('HSET', p .. 'pause', 'probe', now + pace, 'by', token) end
  redis.call('HSET', key, 'lease', now + seconds, 'token', token)
  redis.call('ZADD', queue, now + seconds, id)
end
