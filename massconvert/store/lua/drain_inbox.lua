-- include: _full
-- include: _endings
-- Ends a slice of the leads that wait in the inboxes of refused and cancelled batches. Those that may have been sent, since
-- Redis' history has broken, are made into chunks instead, which are read first.
-- KEYS[1] prefix
-- ARGV[1] now, [2] most leads, [3] retention seconds, [4] most batches, [5] leads a payload, [6] most jobs,
-- [7] seconds after a break of Redis' history in which new batches are read, too
-- Returns {leads ended, how many batches, or options that were refused, are left to drain now}.
local p, now, most, batches = KEYS[1], time_of(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local size, h = tonumber(ARGV[5]), history_of(p, now)
count_at(p, now)
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

-- Makes one chunk of leads that may have been sent, where there is room for it. Returns how many leads.
local function read_first(batch, fp)
  if redis.call('SCARD', p .. 'unsent') + redis.call('SCARD', p .. 'jobs') >= tonumber(ARGV[6]) then return 0 end
  local leads = redis.call('LPOP', p .. 'batch:' .. batch .. ':inbox', 2 * size)
  if not leads then return 0 end
  local id = string.format('%d', redis.call('INCR', p .. 'chunks'))
  redis.call('HSET', p .. 'chunk:' .. id, 'state', 'waiting', 'fp', fp, 'members', batch .. '=' .. table.concat(leads, ','),
    'created', now, 'due', now, 'expected', now, 'story', story_of('formed', now, id .. '|' .. #leads))
  stamp_chunk(p, id, { { batch } }, true, h, size)
  redis.call('SADD', p .. 'batch:' .. batch .. ':chunks', id)
  redis.call('SADD', p .. 'unsent', id)
  redis.call('ZADD', p .. 'due', now, id)
  return #leads
end

local ended, made = 0, 0
for _, batch in ipairs(redis.call('ZRANGE', p .. 'draining', 0, batches - 1)) do
  if ended >= most then break end
  local key = p .. 'batch:' .. batch
  local drain = redis.call('HGET', key, 'drain')
  local outdated = drain and is_batch_outdated(p, batch, h, tonumber(ARGV[7]))
  if outdated then made = made + read_first(batch, redis.call('HGET', key, 'fp')) end
  local leads = drain and not outdated and redis.call('LPOP', key .. ':inbox', most - ended)
  if leads and #leads > 0 then
    local fate = cjson.decode(drain) -- [kind, outcome JSON]
    local event = fate[1] == 'cancelled' and 'cancelled' or 'refused_waiting'
    end_leads(p, batch, fate[1], fate[2], leads, story_of(event, now))
    ended = ended + #leads
  end
  if not drain or redis.call('LLEN', key .. ':inbox') == 0 then redis.call('ZREM', p .. 'draining', batch) end
  if drain then finish_batch(p, batch, now, ARGV[3]) end
end
local found_some = fp or ended + made > 0 -- else what is left waits for room
return { ended, not found_some and 0 or redis.call('ZCARD', p .. 'draining') + redis.call('ZCARD', p .. 'refused') + redis.call('SCARD', p .. 'drain') }
