-- include: _batches
-- Ends a slice of the leads that wait in the inbox of a refused or cancelled batch.
-- KEYS[1] prefix
-- ARGV[1] now, [2] most leads, [3] retention seconds
-- Returns {leads ended, batches that are left to drain}.
local p, now = KEYS[1], ARGV[1]
-- An older version kept them in a set: what it left moves over, one at each call.
local old = redis.call('SPOP', p .. 'drain')
if old then redis.call('ZADD', p .. 'draining', 'NX', now, old) end
local function left() return redis.call('ZCARD', p .. 'draining') + redis.call('SCARD', p .. 'drain') end
local batch = redis.call('ZRANGE', p .. 'draining', 0, 0)[1]
if not batch then return { 0, 0 } end
local key = p .. 'batch:' .. batch
local drain = redis.call('HGET', key, 'drain')
local leads = drain and redis.call('LPOP', key .. ':inbox', ARGV[2])
if not leads or #leads == 0 then
  redis.call('ZREM', p .. 'draining', batch)
  return { 0, left() }
end
local fate = cjson.decode(drain) -- [kind, outcome JSON]
end_leads(p, batch, fate[1], fate[2], leads)
if redis.call('LLEN', key .. ':inbox') == 0 then redis.call('ZREM', p .. 'draining', batch) end
finish_batch(p, batch, now, ARGV[3])
return { #leads, left() }
