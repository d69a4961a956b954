-- include: _time
-- Shared by the scripts that accept leads, form chunks, hand them out, send them or write what became of them.
-- Redis may lose what it has acknowledged: a replica that lagged is promoted, a restart loses the end of its log, an older
-- copy is restored. Each of these begins another *history*, with another replication id. Whatever was written in an earlier
-- one may be out of date: its leads may have been sent since, so they are read before they are sent (docs/decisions/0037).

local REMEMBER_REPLICAS = 20 -- seconds: an old primary goes on for 10 to 11 s in a planned failover by Sentinel

-- The history that Redis writes now: {id, since, replicas}. It keeps its name where a Redis of our own ended in order and
-- was started again (embedded/redis_server.py). `id` is '' where Redis refuses INFO; `since` is 0 for the first
-- history that the ledger knows; `replicas` is how many were attached lately: that many must have what may not be lost.
-- Those that are gone count for a while from when a script first missed them: the ledger may have been idle for long.
local function history_of(p, now)
  local info = redis.pcall('INFO', 'replication')
  if type(info) == 'table' then
    local is_a_fake = string.find(tostring(info.err), 'unknown command', 1, true) -- of a test, in one process' memory
    return { id = is_a_fake and 'none' or '', since = 0, replicas = 0 }
  end
  -- Plain searches: this is run by almost every script, and INFO has a line for each replica.
  local key, at, online = p .. 'history', string.find(info, 'master_replid:', 1, true), 0
  local id = at and string.sub(info, at + 14, string.find(info, '\r', at, true) - 1)
  at = string.find(info, 'state=online', 1, true)
  while at do
    online, at = online + 1, string.find(info, 'state=online', at + 12, true)
  end
  local h = redis.call('HMGET', key, 'id', 'since', 'replicas', 'fewer_since', 'name')
  if h[1] ~= id then
    local since = h[1] and exactly(now) or '0'
    if h[1] then redis.call('HINCRBY', key, 'breaks', 1) end
    redis.call('HSET', key, 'id', id, 'name', id, 'since', since, 'replicas', online)
    redis.call('HDEL', key, 'fewer_since')
    return { id = id, since = tonumber(since), replicas = online }
  end
  local known, fewer_since = tonumber(h[3]) or 0, tonumber(h[4])
  if online < known and not fewer_since then
    redis.call('HSET', key, 'fewer_since', now)
  elseif online > known or (online < known and now - fewer_since > REMEMBER_REPLICAS) then
    redis.call('HSET', key, 'replicas', online)
    known = online
  end
  if fewer_since and online >= known then redis.call('HDEL', key, 'fewer_since') end
  return { id = h[5] or id, since = tonumber(h[2]), replicas = known }
end

-- Whether what bears this stamp may be out of date. What an older version wrote bears none: then its age tells.
local function is_outdated(h, stamp, created)
  if h.id == '' then return stamp == 'several' end
  if stamp and stamp ~= '' then return stamp ~= h.id end
  return (tonumber(created) or 0) < h.since
end

-- Whether the leads that wait in a batch may have been sent. For a while after a break those of new batches may be, too: a
-- producer enqueues again what an old primary had taken and sent. Where nothing tells of breaks, all may be.
local function is_batch_outdated(p, batch, h, doubt)
  if h.since == 0 and (h.id ~= '' or doubt == 0) then return false end
  local b = redis.call('HMGET', p .. 'batch:' .. batch, 'history', 'created')
  return h.id == '' or is_outdated(h, b[1], b[2]) or tonumber(b[2]) < h.since + doubt
end

-- Writes on a new chunk whether its leads may have been sent. Of those that may, it is as old as their oldest batch: what was
-- converted since has been converted by us.
local function stamp_chunk(p, id, members, outdated, h, size)
  local key = p .. 'chunk:' .. id
  redis.call('HSET', key, 'history', outdated and 'several' or h.id)
  if not outdated then return end
  local oldest = tonumber(redis.call('HGET', key, 'created'))
  for _, segment in ipairs(members) do
    oldest = math.min(oldest, tonumber(redis.call('HGET', p .. 'batch:' .. segment[1], 'created')) or oldest)
  end
  redis.call('HSET', key, 'created', exactly(oldest), 'most', size)
end

-- Whether a chunk may be: fields of its hash. Leads that are known to be converted are not sent in any case.
local function is_chunk_outdated(h, state, why, stamp, created)
  return state ~= 'updating' and why ~= 'ids' and is_outdated(h, stamp, created)
end
