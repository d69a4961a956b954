-- include: _batches
-- Registers a batch, or finds it again by its key.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] fingerprint, [3] options JSON, [4] now, [5] shards of its member sets, [6] priority
-- Returns "created", "reopened" (the same options: what is missing may be added) or "conflict" (other options).
local p, batch, fp = KEYS[1], ARGV[1], ARGV[2]
local key, options = p .. 'batch:' .. batch, p .. 'options:' .. fp
local known = redis.call('HGET', key, 'fp')
if known and known ~= fp then return 'conflict' end
if known then
  redis.call('HSET', options, 'json', ARGV[3])
  reopen_batch(p, batch, ARGV[4])
  return 'reopened'
end
redis.call('HSET', key, 'fp', fp, 'created', ARGV[4], 'shards', ARGV[5], 'priority', ARGV[6], 'sealed', 0,
  'total', 0, 'sent', 0, 'converted', 0, 'failed', 0, 'skipped', 0, 'cancelled', 0)
redis.call('HSET', options, 'json', ARGV[3])
redis.call('HINCRBY', options, 'batches', 1)
redis.call('PERSIST', options)
redis.call('ZADD', p .. 'batches', ARGV[4], batch)
redis.call('ZADD', p .. 'unsealed', ARGV[4], batch)
return 'created'
