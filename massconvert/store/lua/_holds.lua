-- include: _endings
-- include: _members
-- include: _held
-- Shared by the scripts that hold batches, or move what may be held.
-- A held batch stands in no queue. A chunk that waits is *parked* while every batch in it is held: it is outside of the
-- window, never due, and cannot be sent. One that carries leads of others goes, with all its leads.

-- Puts a chunk into the one set that bounds how many like it there are, or into none while it is parked.
local function bound_chunk(p, id, state, why, parked)
  local set = 'jobs'
  if why == 'overdue' or why == 'watched' or why == 'another' then
    set = 'overdue' -- it is watched on, or waits for other leads, and takes no room from others
  elseif state == 'waiting' or why == 'preflight' then
    set = 'unsent'
  end
  for _, name in ipairs({ 'unsent', 'jobs', 'overdue' }) do
    redis.call(name == set and not parked and 'SADD' or 'SREM', p .. name, id)
  end
  local links = set == 'unsent' and not parked and redis.call('HEXISTS', p .. 'chunk:' .. id, 'link') == 1
  redis.call(links and 'SADD' or 'SREM', p .. 'linking', id)
end

-- Parks a chunk that waits; the holder of its lease can neither send nor move it any more.
local function park_chunk(p, id, fp, now)
  redis.call('HSET', p .. 'chunk:' .. id, 'parked', 1)
  redis.call('HDEL', p .. 'chunk:' .. id, 'lease', 'token')
  bound_chunk(p, id, 'waiting', '', true)
  redis.call('ZREM', p .. 'due', id)
  end_probe(p, fp, id, now)
end

-- Parks a chunk of a batch, or lets it go, after one of its batches was held or released. Returns whether it goes now.
local function place_chunk(p, id, now)
  local key = p .. 'chunk:' .. id
  if redis.call('HGET', key, 'state') ~= 'waiting' then return false end
  local c = redis.call('HMGET', key, 'state', 'parked', 'fp', 'members', 'canary', 'due', 'why')
  local held = is_held(p, segments_of(c[4]), c[5])
  if held then
    park_chunk(p, id, c[3], now)
  elseif c[2] then
    redis.call('HDEL', key, 'parked')
    redis.call('HSET', key, 'expected', math.max(now, tonumber(c[6])))
    bound_chunk(p, id, 'waiting', c[7])
    redis.call('ZADD', p .. 'due', math.max(now, tonumber(c[6])), id)
    return true
  end
  return false
end

-- Ends the leads of cancelled batches in a chunk that waits: they are surely not sent, or were seen to be unconverted.
-- The worker that has claimed the chunk can neither send nor move it then. Returns how many leads ended.
local function end_cancelled(p, id, now)
  local key = p .. 'chunk:' .. id
  local c = redis.call('HMGET', key, 'members', 'submitted', 'fp', 'history', 'created', 'story')
  local left, ended = {}, 0
  for _, segment in ipairs(segments_of(c[1])) do
    local batch, leads = segment[1], segment[2]
    local drain = redis.call('HGET', p .. 'batch:' .. batch, 'drain')
    local fate = drain and cjson.decode(drain)
    if fate and fate[1] == 'cancelled' then
      -- Those that may have been sent are read first.
      if ended == 0 and is_outdated(history_of(p, now), c[4], c[5]) then return 0 end
      end_leads(p, batch, fate[1], fate[2], leads, story_with(c[6], 'cancelled', now))
      if c[2] == '1' then redis.call('HINCRBY', p .. 'batch:' .. batch, 'sent', -#leads) end
      redis.call('SREM', p .. 'batch:' .. batch .. ':chunks', id)
      ended = ended + #leads
    else
      left[#left + 1] = segment
    end
  end
  if ended == 0 then return 0 end
  redis.call('HDEL', key, 'lease', 'token')
  if #left > 0 then
    redis.call('HSET', key, 'members', members_of(left))
    redis.call('ZADD', p .. 'due', math.max(now, tonumber(redis.call('HGET', key, 'due'))), id)
    place_chunk(p, id, now)
  else
    redis.call('DEL', key)
    redis.call('ZREM', p .. 'due', id)
    bound_chunk(p, id, '', '', true)
    end_probe(p, c[3], id, now)
  end
  return ended
end

-- Lets nothing more of a batch be sent, since a person wants it. Returns 1, or 0 when there is nothing to hold.
-- The first person's reason and name stand until it is released.
local function hold_batch(p, batch, reason, who, now)
  local key = p .. 'batch:' .. batch
  local b = redis.call('HMGET', key, 'fp', 'priority', 'drain', 'finished')
  if b[3] or b[4] or drain_refused(p, batch, b[1], b[2], now) then return 0 end
  local person, canary = holds_of(p, batch)
  if not person then redis.call('HSET', key, 'held', reason, 'held_by', who, 'held_at', now) end
  if canary then redis.call('HSETNX', key, 'canary_held', now) end
  unqueue_batch(p, batch, b[1], b[2])
  for _, id in ipairs(redis.call('SMEMBERS', key .. ':chunks')) do place_chunk(p, id, now) end
  return 1
end

-- Holds a batch whose whole canary has been formed, until that has ended.
local function hold_for_canary(p, batch, now)
  local key = p .. 'batch:' .. batch
  local b = redis.call('HMGET', key, 'fp', 'priority')
  redis.call('HSET', key, 'canary_held', now)
  unqueue_batch(p, batch, b[1], b[2])
end

-- Lets a batch go that nobody holds any more. Returns the chunks that go now.
local function let_go(p, batch, now)
  local key, go = p .. 'batch:' .. batch, {}
  local person, canary = holds_of(p, batch)
  if not person and not canary then
    local b = redis.call('HMGET', key, 'fp', 'priority')
    local waiting = redis.call('LLEN', key .. ':inbox')
    if waiting > 0 then queue_batch(p, batch, b[1], b[2], waiting, now, 0, 1) end
  end
  for _, id in ipairs(redis.call('SMEMBERS', key .. ':chunks')) do
    if place_chunk(p, id, now) then go[#go + 1] = id end
  end
  return go
end

-- A person lets a batch go on: their own hold ends, and its canary's once that is over. Before, they cannot end it: the same
-- command twice does what it does once. Returns {whether a hold has ended, the chunks that go now}.
local function release_batch(p, batch, now)
  local key = p .. 'batch:' .. batch
  local person, canary = holds_of(p, batch)
  local c = redis.call('HMGET', key, 'canary', 'canary_ended')
  local over = tonumber(c[2] or 0) >= tonumber(c[1] or 0)
  if not person and not (canary and over) then return { 0, {} } end
  redis.call('HDEL', key, 'held', 'held_by', 'held_at')
  if over then redis.call('HDEL', key, 'canary_held') end
  if over and c[1] then redis.call('HSET', key, 'canary_let_go', 1) end
  return { 1, let_go(p, batch, now) }
end

-- Ends the canary's hold when all its leads have ended and few enough of them failed; policy/canary.py says how few.
local function judge_canary(p, batch, now)
  local key = p .. 'batch:' .. batch
  local b = redis.call('HMGET', key, 'canary', 'canary_ended', 'canary_failed', 'canary_most')
  local person, canary = holds_of(p, batch)
  if canary and tonumber(b[2]) >= tonumber(b[1]) and tonumber(b[3]) <= tonumber(b[4]) then
    redis.call('HDEL', key, 'canary_held')
    if not person then
      redis.call('HDEL', key, 'held', 'held_by', 'held_at') -- where an older version wrote it
      let_go(p, batch, now)
    end
  end
end
