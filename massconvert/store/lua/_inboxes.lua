-- include: _history
-- Shared by the scripts that fill, empty or park inboxes (included by the loader, see store/scripts.py).
-- `p` is the account's prefix "mc:{account}:"; times are Unix seconds.
-- A batch with leads in its inbox stands in one of the two queues of its options, `interactive:{fp}` or `bulk:{fp}`, with
-- its turn as the score; or in none, while it is held, or while its inbox is being drained. Those whose turn is not after
-- `refused_turn` of their options are refused: nothing is formed of them, and they are taken out a few at a time.

local function queue_of(p, fp, priority)
  return p .. (priority == 'interactive' and 'interactive:' or 'bulk:') .. fp
end

-- An older version kept the queues in lists: what it left there moves over, a bounded number of batches at once.
local function adopt_queues(p, fp, most)
  for old, priority in pairs({ express = 'interactive', queue = 'bulk' }) do
    local list = p .. old .. ':' .. fp
    for _, batch in ipairs(redis.call('EXISTS', list) == 1 and redis.call('LPOP', list, most) or {}) do
      redis.call('ZADD', queue_of(p, fp, priority), 'NX', redis.call('HINCRBY', p .. 'options:' .. fp, 'turn', 1), batch)
    end
  end
end

-- Turns from which on nothing of a queue is refused, for ZRANGEBYSCORE and ZCOUNT.
local function first_turn(p, fp)
  local refused = redis.call('HGET', p .. 'options:' .. fp, 'refused_turn')
  return refused and '(' .. refused or '-inf'
end

-- Lets chunks be formed with these options from `at` on.
local function wake_inbox(p, fp, at)
  redis.call('ZADD', p .. 'inboxes', at, fp)
  if redis.call('ZCOUNT', queue_of(p, fp, 'interactive'), first_turn(p, fp), '+inf') > 0 then
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

-- Whether what comes to these options need not wait for company: no payload was made of them for `quiet` seconds, nobody
-- waits for a permit, and nothing holds calls back. Nil seconds: it always waits.
local function goes_at_once(p, fp, now, quiet)
  local formed = quiet and redis.call('HGET', p .. 'options:' .. fp, 'formed')
  if not quiet or (tonumber(formed or 0) or 0) > now - quiet then return false end -- ignore what is not a number: we never write it
  local shut = redis.call('HGET', p .. 'gate', 'until')
  return (tonumber(shut or 0) or 0) <= now and redis.call('EXISTS', p .. 'pause', p .. 'hold') == 0
    and redis.call('ZCOUNT', p .. 'permits:wanted', now, '+inf') == 0
end

-- Puts a batch into its queue with all that waits in its inbox, and says from when on chunks may be formed.
-- Returns that time, or nil while they may not.
local function queue_batch(p, batch, fp, priority, added, now, linger, size, quiet)
  local options = p .. 'options:' .. fp
  if redis.call('LLEN', p .. 'batch:' .. batch .. ':inbox') == added then
    redis.call('ZADD', queue_of(p, fp, priority), 'NX', redis.call('HINCRBY', options, 'turn', 1), batch)
  end
  local waiting = redis.call('HINCRBY', options, 'waiting', added)
  if redis.call('HEXISTS', options, 'probing') == 1 then return nil end
  local ready = tonumber(redis.call('ZSCORE', p .. 'inboxes', fp) or nil)
  if not ready then ready = goes_at_once(p, fp, now, quiet) and now or now + linger end
  if waiting >= size then ready = math.min(ready, now) end
  wake_inbox(p, fp, ready)
  return ready
end

-- Whether Zoho has refused what this batch waits with, and nobody has taken it out of its queue yet.
local function waits_refused(p, batch, fp, priority)
  local refused = redis.call('HGET', p .. 'options:' .. fp, 'refused_turn')
  local turn = refused and redis.call('ZSCORE', queue_of(p, fp, priority), batch)
  return turn and tonumber(turn) <= tonumber(refused)
end

-- Takes a batch out of its queue with all that waits in its inbox.
local function unqueue_batch(p, batch, fp, priority)
  local refused = waits_refused(p, batch, fp, priority)
  if redis.call('ZREM', queue_of(p, fp, priority), batch) == 0 then
    local list = p .. (priority == 'interactive' and 'express:' or 'queue:') .. fp -- an older version's
    if redis.call('EXISTS', list) == 0 or redis.call('LREM', list, 0, batch) == 0 then return end
  end
  local waiting = redis.call('LLEN', p .. 'batch:' .. batch .. ':inbox')
  local left = redis.call('HINCRBY', p .. 'options:' .. fp, refused and 'refused_waiting' or 'waiting', -waiting)
  if not refused and left <= 0 then rest_inbox(p, fp) end
end

-- Has what waits in the inbox of a batch end as `fate` says, a slice at a time (drain_inbox.lua), and what comes to it.
local function drain_batch(p, batch, fp, priority, fate, now)
  unqueue_batch(p, batch, fp, priority)
  redis.call('HSET', p .. 'batch:' .. batch, 'drain', fate)
  if redis.call('EXISTS', p .. 'batch:' .. batch .. ':inbox') == 1 then redis.call('ZADD', p .. 'draining', 'NX', now, batch) end
end

-- Does so where Zoho has refused what the batch waits with. Returns whether it has.
local function drain_refused(p, batch, fp, priority, now)
  if not waits_refused(p, batch, fp, priority) then return false end
  drain_batch(p, batch, fp, priority, redis.call('HGET', p .. 'options:' .. fp, 'refused_fate'), now)
  return true
end

-- Somebody enqueues this batch again, or Zoho has accepted its options since: their refusal is no longer the batch's, and
-- what of it has not ended waits once more. What a person has cancelled stays so.
local function forgive_batch(p, batch, fp, priority, now)
  local key = p .. 'batch:' .. batch
  local b = redis.call('HMGET', key, 'drain', 'held', 'canary_held')
  if b[1] then
    if cjson.decode(b[1])[1] == 'cancelled' then return end
    redis.call('HDEL', key, 'drain')
    redis.call('ZREM', p .. 'draining', batch)
  elseif waits_refused(p, batch, fp, priority) then
    unqueue_batch(p, batch, fp, priority)
  else
    return
  end
  local waiting = redis.call('LLEN', key .. ':inbox')
  if waiting > 0 and not b[2] and not b[3] then queue_batch(p, batch, fp, priority, waiting, now, 0, 1) end
end

-- Zoho has refused these options: all that wait with them now end as `fate` says, however many batches they are.
local function refuse_queues(p, fp, fate, now)
  local options = p .. 'options:' .. fp
  adopt_queues(p, fp, 1000000)
  local o = redis.call('HMGET', options, 'turn', 'waiting')
  if tonumber(o[2] or 0) <= 0 then return end
  redis.call('HSET', options, 'refused_turn', o[1] or 0, 'refused_fate', fate, 'waiting', 0)
  redis.call('HINCRBY', options, 'refused_waiting', o[2] or 0)
  redis.call('ZADD', p .. 'refused', 'NX', now, fp)
  rest_inbox(p, fp)
end

-- Zoho has accepted these options since: batches that wait with them go on.
local function readmit_queues(p, fp, now)
  local options = p .. 'options:' .. fp
  local waiting = redis.call('HGET', options, 'refused_waiting')
  if not waiting then return end
  redis.call('HDEL', options, 'refused_turn', 'refused_fate', 'refused_waiting')
  redis.call('ZREM', p .. 'refused', fp)
  if redis.call('HINCRBY', options, 'waiting', waiting) > 0 and redis.call('HEXISTS', options, 'probing') == 0 then
    wake_inbox(p, fp, now)
  end
end
