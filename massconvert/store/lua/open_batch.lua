-- include: _room
-- include: _endings
-- Registers a batch, or finds it again by its key.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] fingerprint, [3] options JSON, [4] now, [5] shards of its member sets, [6] priority,
-- [7] fingerprint of the options as they were given, names and all,
-- [8] leads of its canary, 0: none, [9] how many of those may fail for it to go on by itself, -1: it waits in any case,
-- [10] JSON of those to call when it has finished, or "" for no change, [11] how many they are,
-- [12] why its chunks are settled before anything is sent, if they are,
-- [13] seconds after which a batch may have expired, [14] the traceparent of its enqueue, or ""
-- Returns {"created", "reopened" (the same options: what is missing may be added) or "conflict" (other options), the history
-- that Redis writes now}.
local p, batch, fp, now = KEYS[1], ARGV[1], ARGV[2], time_of(ARGV[4])
local key, options = p .. 'batch:' .. batch, p .. 'options:' .. fp
local b = redis.call('HMGET', key, 'fp', 'given')
local known = b[1]
if known and known ~= fp and (b[2] or known) ~= ARGV[7] then return { 'conflict', history_of(p, now).id } end
if known then
  if known == fp then redis.call('HSET', options, 'json', ARGV[3]) end -- else its leads wait with the options it has
  reopen_batch(p, batch, now)
  forgive_batch(p, batch, known, redis.call('HGET', key, 'priority'), now)
  if ARGV[10] ~= '' then
    for n = tonumber(ARGV[11]) + 1, tonumber(redis.call('HGET', key, 'targets') or 0) do -- those are called no more
      redis.call('ZREM', p .. 'callbacks', n .. ':' .. batch)
      redis.call('ZREM', p .. 'callbacks:busy', n .. ':' .. batch)
      redis.call('HDEL', key, 'called:' .. n, 'call_tries:' .. n, 'call_error:' .. n)
    end
    if redis.call('HGET', key, 'on_complete') ~= ARGV[10] then -- these have not been told yet, whatever is added
      for n = 1, tonumber(ARGV[11]) do redis.call('HDEL', key, 'called:' .. n) end
    end
    redis.call('HSET', key, 'on_complete', ARGV[10], 'targets', ARGV[11])
  end
  return { 'reopened', history_of(p, now).id }
end
redis.call('HSET', key, 'fp', fp, 'created', now, 'history', history_of(p, now).id, 'shards', ARGV[5], 'priority', ARGV[6], 'sealed', 0,
  'total', 0, 'sent', 0, 'converted', 0, 'failed', 0, 'skipped', 0, 'cancelled', 0)
if ARGV[7] ~= fp then redis.call('HSET', key, 'given', ARGV[7]) end
if ARGV[8] ~= '0' then
  redis.call('HSET', key, 'canary', ARGV[8], 'canary_left', ARGV[8], 'canary_most', ARGV[9], 'canary_ended', 0,
    'canary_failed', 0)
end
if ARGV[10] ~= '' then redis.call('HSET', key, 'on_complete', ARGV[10], 'targets', ARGV[11]) end
if ARGV[14] ~= '' then redis.call('HSET', key, 'trace', ARGV[14]) end
redis.call('HSET', options, 'json', ARGV[3])
if ARGV[12] ~= '' then redis.call('HSET', options, 'begin', ARGV[12]) end
-- No payload is made with them, so there is nothing that Zoho could accept first.
if ARGV[12] == 'ids' then redis.call('HSET', options, 'accepted', 1) end
-- Nothing waits with these options: their names are looked up again.
if redis.call('HINCRBY', options, 'batches', 1) == 1 then redis.call('HDEL', options, 'resolved') end
redis.call('PERSIST', options)
-- Each new batch forgets the ids of some that have expired, the oldest first; beginning where the last one stopped, since
-- old ones that still live stay.
local place = tonumber(redis.call('GET', p .. 'batches:place') or 0)
local old = redis.call('ZRANGE', p .. 'batches', place, place + 19, 'WITHSCORES')
local more = #old > 0
for i = 1, #old, 2 do
  more = more and tonumber(old[i + 1]) <= now - tonumber(ARGV[13])
  if not more then break end
  if redis.call('EXISTS', p .. 'batch:' .. old[i]) == 0 then
    redis.call('ZREM', p .. 'batches', old[i])
  else
    place = place + 1
  end
end
if more and place > 0 then redis.call('SET', p .. 'batches:place', place) else redis.call('DEL', p .. 'batches:place') end
redis.call('ZADD', p .. 'batches', now, batch)
redis.call('ZADD', p .. 'unsealed', now, batch)
return { 'created', history_of(p, now).id }
