-- include: _full
-- include: _history
-- include: _story
-- include: _members
-- include: _held
-- Writes ahead of the POST: a worker that finds the chunk SENDING with a lapsed lease treats the answer as lost.
-- What was stopped since the claim is not sent: the chunk waits on, without what was cancelled.
-- KEYS[1] prefix
-- ARGV[1] chunk id, [2] token, [3] now, [4] lease seconds, [5] retention seconds,
-- [6] seconds after which nothing of it leaves any more, [7] when its leads first reach Zoho, by Zoho's clock, or "",
-- [8] the leads that will be sent, comma-separated, [9] how many they are
-- Returns {1, now, replicas that must have it before anything is sent}, or {0, ""} when the claim is no longer ours (then nothing may be sent); parking a chunk takes the claim
-- away.
local p, id, now = KEYS[1], ARGV[1], time_of(ARGV[3])
local key = p .. 'chunk:' .. id
local c = redis.call('HMGET', key, 'state', 'token', 'lease', 'members', 'canary', 'fp', 'history', 'created', 'story')
if c[1] ~= 'waiting' or c[2] ~= ARGV[2] or tonumber(c[3] or 0) <= now then return { 0, '' } end
local parts, leads, h = parts_of(c[4]), {}, history_of(p, now)
for i, part in ipairs(parts) do leads[i] = part[2] end
if table.concat(leads, ',') ~= ARGV[8] then error('other members of a chunk than were claimed: ' .. c[4]) end
if is_outdated(h, c[7], c[8]) then
  redis.call('HDEL', key, 'lease', 'token')
  redis.call('ZADD', p .. 'due', now, id)
  return { 0, '' }
end
if redis.call('EXISTS', p .. 'pause') == 1 and redis.call('HGET', p .. 'pause', 'by') ~= ARGV[2] then -- and we are not its probe
  redis.call('HDEL', key, 'lease', 'token')
  redis.call('ZADD', p .. 'due', now, id)
  return { 0, '' }
end
local held = is_held(p, parts, c[5])
if held or is_drained(p, parts) then
  -- include: _holds
  if held then
    park_chunk(p, id, c[6], now)
    return { 0, '' }
  end
  count_at(p, now)
  if end_cancelled(p, id, now) > 0 then
    for _, part in ipairs(parts) do finish_batch(p, part[1], now, ARGV[5]) end
    return { 0, '' }
  end
end
local till = now + tonumber(ARGV[4])
if ARGV[7] ~= '' then redis.call('HSET', key, 'reached', ARGV[7]) end
redis.call('HSET', key, 'state', 'sending', 'sent_at', now, 'send_by', now + tonumber(ARGV[6]), 'lease', till,
  'story', story_with(c[9], 'sending', now, '|' .. ARGV[9]))
redis.call('ZADD', p .. 'due', till, id)
return { 1, exactly(now), h.replicas }
