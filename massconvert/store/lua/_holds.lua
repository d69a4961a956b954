-- include: _batches
-- Shared by the scripts that hold batches, or move what may be held.
-- A held batch stands in no queue. A chunk that waits is *parked* while every batch in it is held: it is outside of the
-- window, never due, and cannot be sent. One that carries leads of others goes, with all its leads.

-- The open leads of a chunk, in payload order: a list of {batch, list of leads}.
local function segments_of(members)
  local segments = {}
  for batch, joined in string.gmatch(members, '([^;=]+)=([^;]*)') do
    local leads = {}
    for lead in string.gmatch(joined, '[^,]+') do leads[#leads + 1] = lead end
    segments[#segments + 1] = { batch, leads }
  end
  return segments
end

local function members_of(segments)
  local parts = {}
  for i, segment in ipairs(segments) do parts[i] = segment[1] .. '=' .. table.concat(segment[2], ',') end
  return table.concat(parts, ';')
end

-- Whether a chunk with these leads may not go. A batch that is held for its canary holds all but the canary.
local function is_held(p, segments, canary)
  for _, segment in ipairs(segments) do
    local held = redis.call('HGET', p .. 'batch:' .. segment[1], 'held')
    if not held or (canary and held == 'canary') then return false end
  end
  return true
end

-- Parks a chunk that waits; whoever holds its lease can neither send nor move it any more.
local function park_chunk(p, id, fp, now)
  redis.call('HSET', p .. 'chunk:' .. id, 'parked', 1)
  redis.call('HDEL', p .. 'chunk:' .. id, 'lease', 'token')
  redis.call('SREM', p .. 'unsent', id)
  redis.call('ZREM', p .. 'due', id)
  end_probe(p, fp, id, now)
end

-- Parks a chunk of a batch, or lets it go, after one of its batches was held or released. Returns whether it goes now.
local function place_chunk(p, id, now)
  local key = p .. 'chunk:' .. id
  local c = redis.call('HMGET', key, 'state', 'parked', 'fp', 'members', 'canary', 'due')
  if c[1] ~= 'waiting' then return false end
  local held = is_held(p, segments_of(c[4]), c[5])
  if held then
    park_chunk(p, id, c[3], now)
  elseif c[2] then
    redis.call('HDEL', key, 'parked')
    redis.call('HSET', key, 'expected', math.max(now, tonumber(c[6])))
    redis.call('SADD', p .. 'unsent', id)
    redis.call('ZADD', p .. 'due', math.max(now, tonumber(c[6])), id)
    return true
  end
  return false
end

-- Lets nothing more of a batch be sent. Returns 1, or 0 when there is nothing to hold.
local function hold_batch(p, batch, reason, now)
  local key = p .. 'batch:' .. batch
  local b = redis.call('HMGET', key, 'fp', 'priority', 'held', 'drain', 'finished')
  if b[4] or b[5] then return 0 end
  redis.call('HSET', key, 'held', reason)
  if not b[3] then
    redis.call('HSET', key, 'held_at', now)
    local waiting = redis.call('LLEN', key .. ':inbox')
    if waiting > 0 then
      redis.call('LREM', queue_of(p, b[1], b[2]), 0, batch)
      if redis.call('HINCRBY', p .. 'options:' .. b[1], 'waiting', -waiting) <= 0 then rest_inbox(p, b[1]) end
    end
  end
  for _, id in ipairs(redis.call('SMEMBERS', key .. ':chunks')) do place_chunk(p, id, now) end
  return 1
end

-- Ends the hold of a batch. Returns the chunks that go now.
local function release_batch(p, batch, now)
  local key = p .. 'batch:' .. batch
  local b = redis.call('HMGET', key, 'fp', 'priority', 'held')
  if not b[3] then return {} end
  redis.call('HDEL', key, 'held', 'held_at')
  local waiting = redis.call('LLEN', key .. ':inbox')
  if waiting > 0 then queue_batch(p, batch, b[1], b[2], waiting, now, 0, 1) end
  local go = {}
  for _, id in ipairs(redis.call('SMEMBERS', key .. ':chunks')) do
    if place_chunk(p, id, now) then go[#go + 1] = id end
  end
  return go
end

-- Lets a batch go on when all leads of its canary have ended and few enough of them failed; policy/canary.py says how few.
local function judge_canary(p, batch, now)
  local b = redis.call('HMGET', p .. 'batch:' .. batch, 'canary', 'canary_ended', 'canary_failed', 'canary_most', 'held')
  if b[5] == 'canary' and tonumber(b[2]) >= tonumber(b[1]) and tonumber(b[3]) <= tonumber(b[4]) then
    release_batch(p, batch, now)
  end
end
