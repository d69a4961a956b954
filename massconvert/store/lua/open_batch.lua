-- Registers a batch, or finds it again by its key.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] fingerprint, [3] options JSON, [4] now, [5] shards of its member sets, [6] priority
-- Returns "created", "reopened" (the same options: what is missing may be added) or "conflict" (other options).
local p, batch, fp = KEYS[1], ARGV[1], ARGV[2]
local key, options = p .. 'batch:' .. batch, p .. 'options:' .. fp
local known = redis.call('HMGET', key, 'fp', 'finished', 'shards')
if known[1] and known[1] ~= fp then return 'conflict' end
if known[1] then
  if known[2] then
    redis.call('HDEL', key, 'finished')
    redis.call('PERSIST', key)
    redis.call('PERSIST', key .. ':exceptions')
    redis.call('PERSIST', key .. ':chunks')
    for _, chunk in ipairs(redis.call('LRANGE', key .. ':chunks', 0, -1)) do
      redis.call('PERSIST', p .. 'chunk:' .. chunk)
    end
    for shard = 0, tonumber(known[3]) - 1 do
      redis.call('PERSIST', key .. ':members:' .. string.format('%d', shard))
    end
    redis.call('HSET', options, 'json', ARGV[3])
    redis.call('HINCRBY', options, 'batches', 1)
    redis.call('PERSIST', options)
  end
  redis.call('HSET', key, 'sealed', 0)
  redis.call('ZADD', p .. 'unsealed', ARGV[4], batch)
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
