-- Shared by the scripts that end leads (included by the loader, see store/scripts.py).
-- `p` is the account's prefix "mc:{account}:"; times are Unix seconds, retention is seconds.

-- The shard of a set of lead ids: small integer sets stay in Redis' compact encoding (about 10 bytes a lead).
-- 16381 is prime, so ids that are spaced evenly spread evenly.
local function shard_of(lead, shards)
  if shards <= 1 then return 0 end
  return tonumber(string.sub(lead, -12)) % shards
end

local LIVE_SHARDS = 16381

local function live_key(p, lead)
  return p .. 'live:' .. string.format('%d', shard_of(lead, LIVE_SHARDS))
end

-- Ends a batch whose every lead has its outcome: counts are final, its keys begin to expire.
-- Returns 1 when it ended now.
local function finish_batch(p, batch, now, retention)
  local key = p .. 'batch:' .. batch
  local f = redis.call('HMGET', key, 'sealed', 'finished', 'total', 'converted', 'failed', 'skipped', 'cancelled', 'shards', 'fp')
  if f[1] ~= '1' or f[2] then return 0 end
  local ended = tonumber(f[4]) + tonumber(f[5]) + tonumber(f[6]) + tonumber(f[7])
  if ended < tonumber(f[3]) then return 0 end
  redis.call('HSET', key, 'finished', now)
  redis.call('ZREM', p .. 'unsealed', batch)
  redis.call('EXPIRE', key, retention)
  redis.call('EXPIRE', key .. ':exceptions', retention)
  for _, chunk in ipairs(redis.call('LRANGE', key .. ':chunks', 0, -1)) do
    if redis.call('HGET', p .. 'chunk:' .. chunk, 'state') == 'done' then
      redis.call('EXPIRE', p .. 'chunk:' .. chunk, retention)
    end
  end
  redis.call('EXPIRE', key .. ':chunks', retention)
  for shard = 0, tonumber(f[8]) - 1 do
    redis.call('EXPIRE', key .. ':members:' .. string.format('%d', shard), retention)
  end
  if redis.call('HINCRBY', p .. 'options:' .. f[9], 'batches', -1) <= 0 then
    redis.call('EXPIRE', p .. 'options:' .. f[9], retention)
  end
  return 1
end

-- Lets a batch take leads (again): one that was sealed, since its producer was slow to come back or calls with the same
-- key, has not finished, and does not expire.
local function reopen_batch(p, batch, now)
  local key = p .. 'batch:' .. batch
  local f = redis.call('HMGET', key, 'finished', 'shards', 'fp')
  if f[1] then
    redis.call('HDEL', key, 'finished')
    redis.call('PERSIST', key)
    redis.call('PERSIST', key .. ':exceptions')
    redis.call('PERSIST', key .. ':chunks')
    for _, chunk in ipairs(redis.call('LRANGE', key .. ':chunks', 0, -1)) do
      redis.call('PERSIST', p .. 'chunk:' .. chunk)
    end
    for shard = 0, tonumber(f[2]) - 1 do
      redis.call('PERSIST', key .. ':members:' .. string.format('%d', shard))
    end
    redis.call('HINCRBY', p .. 'options:' .. f[3], 'batches', 1)
    redis.call('PERSIST', p .. 'options:' .. f[3])
  end
  redis.call('HSET', key, 'sealed', 0)
  redis.call('ZADD', p .. 'unsealed', now, batch)
end
