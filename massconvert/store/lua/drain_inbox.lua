-- include: _full
-- include: _batches
-- Ends a slice of the leads that wait in the inboxes of refused and cancelled batches.
-- KEYS[1] prefix
-- ARGV[1] now, [2] most leads, [3] retention seconds, [4] most batches
-- Returns {leads ended, how many batches, or options that were refused, are left to drain}.
local p, now, most, batches = KEYS[1], time_of(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
-- An older version kept them in a set: what it left moves over, one at each call.
local old = redis.call('SPOP', p .. 'drain')
if old then redis.call('ZADD', p .. 'draining', 'NX', now, old) end

-- Those that wait with options which were refused.
local fp = redis.call('ZRANGE', p .. 'refused', 0, 0)[1]
if fp then
  local options, found = p .. 'options:' .. fp, 0
  local turn = redis.call('HGET', options, 'refused_turn')
  for _, priority in ipairs(turn and { 'interactive', 'bulk' } or {}) do
    local some = redis.call('ZRANGEBYSCORE', queue_of(p, fp, priority), '-inf', turn, 'LIMIT', 0, batches - found)
    for _, batch in ipairs(some) do drain_refused(p, batch, fp, priority, now) end
    found = found + #some
  end
  if found == 0 then
    redis.call('ZREM', p .. 'refused', fp)
    redis.call('HDEL', options, 'refused_turn', 'refused_fate', 'refused_waiting')
  end
end

local ended = 0
for _, batch in ipairs(redis.call('ZRANGE', p .. 'draining', 0, batches - 1)) do
  if ended >= most then break end
  local key = p .. 'batch:' .. batch
  local drain = redis.call('HGET', key, 'drain')
  local leads = drain and redis.call('LPOP', key .. ':inbox', most - ended)
  if leads and #leads > 0 then
    local fate = cjson.decode(drain) -- [kind, outcome JSON]
    end_leads(p, batch, fate[1], fate[2], leads)
    ended = ended + #leads
  end
  if not drain or redis.call('LLEN', key .. ':inbox') == 0 then redis.call('ZREM', p .. 'draining', batch) end
  if drain then finish_batch(p, batch, now, ARGV[3]) end
end
return { ended, redis.call('ZCARD', p .. 'draining') + redis.call('ZCARD', p .. 'refused') + redis.call('SCARD', p .. 'drain') }
