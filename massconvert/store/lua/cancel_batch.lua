-- include: _holds
-- Cancels what of a batch has not been sent: its inbox is drained later in slices, its leads in chunks that wait and
-- that nobody holds end now. What was submitted, or is being sent at this moment, is followed to its outcome.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] now, [3] JSON [kind, outcome JSON], [4] retention seconds
-- Returns {leads that end or will end as cancelled, leads that are followed}; safe to repeat.
local p, batch, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local key = p .. 'batch:' .. batch
local b = redis.call('HMGET', key, 'fp', 'finished', 'drain')
if not b[1] then return redis.error_reply('UNKNOWN_BATCH ' .. batch) end
if b[2] then return { 0, 0 } end
local fate = cjson.decode(ARGV[3])
local waiting = redis.call('LLEN', key .. ':inbox')
if not b[3] then
  hold_batch(p, batch, 'cancelled', now) -- takes it out of its queue
  redis.call('HSET', key, 'drain', ARGV[3])
  redis.call('HDEL', key, 'held', 'held_at')
end
if waiting > 0 then redis.call('ZADD', p .. 'draining', 'NX', now, batch) end
local ended, followed = 0, 0
for _, id in ipairs(redis.call('SMEMBERS', key .. ':chunks')) do
  local chunk = p .. 'chunk:' .. id
  local c = redis.call('HMGET', chunk, 'state', 'members', 'lease', 'submitted', 'fp', 'why')
  local mine, others = 0, {}
  -- Whoever reads before anything is sent loses the claim.
  local preflight = c[6] == 'preflight'
  local surely_unsent = preflight or (c[1] == 'waiting' and c[4] ~= '1' and not (c[3] and tonumber(c[3]) > now))
  for _, segment in ipairs(segments_of(c[2])) do
    if segment[1] ~= batch then
      others[#others + 1] = segment
    else
      mine = mine + #segment[2]
      if surely_unsent then end_leads(p, batch, fate[1], fate[2], segment[2]) end
    end
  end
  if not surely_unsent then
    followed = followed + mine
    place_chunk(p, id, now)
  else
    ended = ended + mine
    redis.call('SREM', key .. ':chunks', id)
    if #others > 0 then
      redis.call('HSET', chunk, 'members', members_of(others))
      if preflight and redis.call('HDEL', chunk, 'lease', 'token') > 0 then redis.call('ZADD', p .. 'due', now, id) end
      place_chunk(p, id, now)
    else
      redis.call('DEL', chunk)
      redis.call('ZREM', p .. 'due', id)
      redis.call('SREM', p .. 'unsent', id)
      end_probe(p, c[5], id, now)
    end
  end
end
redis.call('HSET', key, 'sealed', 1)
redis.call('ZREM', p .. 'unsealed', batch)
finish_batch(p, batch, ARGV[2], ARGV[4])
return { ended + waiting, followed }
