-- include: _batches
-- Ends a slice of the leads that wait in the inbox of a refused or cancelled batch.
-- KEYS[1] prefix
-- ARGV[1] now, [2] most leads, [3] retention seconds
-- Returns {leads ended, batches that are left to drain}.
local p, now = KEYS[1], ARGV[1]
local batch = redis.call('SORT', p .. 'drain', 'ALPHA', 'LIMIT', 0, 1)[1] -- no chance in it: a history can be replayed
if not batch then return { 0, 0 } end
local key = p .. 'batch:' .. batch
local drain = redis.call('HGET', key, 'drain')
local leads = drain and redis.call('LPOP', key .. ':inbox', ARGV[2])
if not leads or #leads == 0 then
  redis.call('SREM', p .. 'drain', batch)
  return { 0, redis.call('SCARD', p .. 'drain') }
end
local fate = cjson.decode(drain) -- [kind, outcome JSON]
end_leads(p, batch, fate[1], fate[2], leads)
if redis.call('LLEN', key .. ':inbox') == 0 then redis.call('SREM', p .. 'drain', batch) end
finish_batch(p, batch, now, ARGV[3])
return { #leads, redis.call('SCARD', p .. 'drain') }
