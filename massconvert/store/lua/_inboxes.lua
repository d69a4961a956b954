-- Shared by the scripts that fill, empty or park inboxes (included by the loader, see store/scripts.py).
-- `p` is the account's prefix "mc:{account}:"; times are Unix seconds.
-- A batch with leads in its inbox stands in one of the two queues of its options: `express:{fp}` if it is interactive,
-- else `queue:{fp}`; or in none, while it is held, or while its inbox is being drained.

local function queue_of(p, fp, priority)
  return p .. (priority == 'interactive' and 'express:' or 'queue:') .. fp
end

-- Lets chunks be formed with these options from `at` on.
local function wake_inbox(p, fp, at)
  redis.call('ZADD', p .. 'inboxes', at, fp)
  if redis.call('EXISTS', p .. 'express:' .. fp) == 1 then
    redis.call('ZADD', p .. 'express', at, fp)
  else
    redis.call('ZREM', p .. 'express', fp)
  end
end

-- Lets no chunk be formed with these options, until somebody wakes them.
local function rest_inbox(p, fp)
  redis.call('ZREM', p .. 'inboxes', fp)
  redis.call('ZREM', p .. 'express', fp)
end

-- The chunk that tried options which Zoho has never accepted is over, or will not go: the next one may try them.
local function end_probe(p, fp, chunk, now)
  local options = p .. 'options:' .. fp
  if redis.call('HGET', options, 'probing') ~= chunk then return end
  redis.call('HDEL', options, 'probing')
  if tonumber(redis.call('HGET', options, 'waiting') or 0) > 0 then wake_inbox(p, fp, now) end
end

-- Puts a batch into its queue with all that waits in its inbox, and says from when on chunks may be formed.
-- Returns that time, or nil while they may not.
local function queue_batch(p, batch, fp, priority, added, now, linger, size)
  local queue, options = queue_of(p, fp, priority), p .. 'options:' .. fp
  if redis.call('LLEN', p .. 'batch:' .. batch .. ':inbox') == added then redis.call('RPUSH', queue, batch) end
  local waiting = redis.call('HINCRBY', options, 'waiting', added)
  if redis.call('HEXISTS', options, 'probing') == 1 then return nil end
  local ready = tonumber(redis.call('ZSCORE', p .. 'inboxes', fp) or now + linger)
  if waiting >= size then ready = math.min(ready, now) end
  wake_inbox(p, fp, ready)
  return ready
end
