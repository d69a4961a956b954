-- include: _full
-- include: _holds
-- Cancels what of a batch has not been sent: its inbox is drained later in slices, its leads in chunks that wait end now,
-- some chunks at a time. What is under way is followed: what Zoho has not converted then ends as cancelled wherever it
-- would wait to be sent again (move_chunk.lua).
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] now, [3] JSON [kind, outcome JSON], [4] retention seconds, [5] most leads in chunks to end now
-- Returns {leads that ended in chunks, leads that wait in its inbox and will end, leads that are followed, 1: again, since
-- there are more chunks to look at, replicas that must have it}; safe to repeat.
local p, batch, now, most = KEYS[1], ARGV[1], time_of(ARGV[2]), tonumber(ARGV[5])
local key = p .. 'batch:' .. batch
local b = redis.call('HMGET', key, 'fp', 'finished', 'drain', 'priority')
if not b[1] then return redis.error_reply('UNKNOWN_BATCH ' .. batch) end
if b[2] then return { 0, 0, 0, 0, '' } end
local replicas = history_of(p, now).replicas
count_at(p, now)
if not b[3] or cjson.decode(b[3])[1] ~= 'cancelled' then -- a refusal of its options does not stand in the way
  drain_batch(p, batch, b[1], b[4], ARGV[3], now)
  redis.call('HDEL', key, 'held', 'held_by', 'held_at', 'canary_held')
end
local ended = 0
for _, id in ipairs(redis.call('SMEMBERS', key .. ':chunks')) do
  if ended >= most then return { ended, 0, 0, 1, replicas } end
  local chunk = p .. 'chunk:' .. id
  local c = redis.call('HMGET', chunk, 'state', 'why', 'submitted')
  -- A worker that reads before anything is sent, or before deals are updated by a batch for that alone, loses the claim.
  local reads = c[1] == 'settling' and (c[2] == 'preflight' or (c[2] == 'ids' and c[3] ~= '1'))
  if c[1] == 'waiting' or reads then ended = ended + end_cancelled(p, id, now) end
  place_chunk(p, id, now)
end
redis.call('HSET', key, 'sealed', 1)
redis.call('ZREM', p .. 'unsealed', batch)
local n = redis.call('HMGET', key, 'total', 'converted', 'failed', 'skipped', 'cancelled')
local waiting = redis.call('LLEN', key .. ':inbox')
local followed = tonumber(n[1]) - tonumber(n[2]) - tonumber(n[3]) - tonumber(n[4]) - tonumber(n[5]) - waiting
finish_batch(p, batch, now, ARGV[4])
return { ended, waiting, followed, 0, replicas }
