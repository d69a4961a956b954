-- include: _batches
-- Adds one slice of leads to a batch: the new ones wait in its inbox, those in flight elsewhere are skipped.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] id of this call (the same call repeated changes nothing and answers the same),
-- [3] now, [4] linger seconds, [5] leads a payload, [6] outcome JSON of a lead that is in flight elsewhere, [7...] leads
-- Returns {accepted, duplicates, skipped, seconds until a chunk can be formed, or "" when nobody need be told}
local p, batch, call, now, linger, size = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local key = p .. 'batch:' .. batch
local b = redis.call('HMGET', key, 'fp', 'shards', 'last_call', 'last_answer', 'sealed')
if not b[1] then return redis.error_reply('UNKNOWN_BATCH ' .. batch) end
if b[3] == call then return cjson.decode(b[4]) end
if b[5] == '1' then reopen_batch(p, batch, now) end -- sealed as abandoned, or cancelled, before its producer came back
local fp, shards = b[1], tonumber(b[2])
local fresh, skipped, duplicates = {}, 0, 0
for i = 7, #ARGV do
  local lead = ARGV[i]
  if redis.call('SADD', key .. ':members:' .. string.format('%d', shard_of(lead, shards)), lead) == 0 then
    duplicates = duplicates + 1
  elseif redis.call('SADD', live_key(p, lead), lead) == 0 then
    skipped = skipped + 1
    redis.call('HSET', key .. ':exceptions', lead, ARGV[6])
  else
    fresh[#fresh + 1] = lead
  end
end
local options = p .. 'options:' .. fp
local nudge = ''
if #fresh > 0 then
  local had = redis.call('LLEN', key .. ':inbox')
  for i = 1, #fresh, 1000 do
    redis.call('RPUSH', key .. ':inbox', unpack(fresh, i, math.min(i + 999, #fresh)))
  end
  if redis.call('HEXISTS', key, 'drain') == 1 then
    redis.call('SADD', p .. 'drain', batch)
    nudge = '0'
  else
    if had == 0 then redis.call('RPUSH', p .. 'queue:' .. fp, batch) end
    local waiting = redis.call('HINCRBY', options, 'waiting', #fresh)
    if redis.call('HEXISTS', options, 'probing') == 0 then
      local ready = redis.call('ZSCORE', p .. 'inboxes', fp)
      if waiting >= size then
        if not ready or tonumber(ready) > now then
          redis.call('ZADD', p .. 'inboxes', now, fp)
          nudge = '0'
        end
      elseif not ready then
        redis.call('ZADD', p .. 'inboxes', now + linger, fp)
        nudge = tostring(linger)
      end
    end
  end
end
redis.call('HINCRBY', key, 'total', #fresh + skipped)
if skipped > 0 then redis.call('HINCRBY', key, 'skipped', skipped) end
redis.call('ZADD', p .. 'unsealed', now, batch)
local answer = { #fresh, duplicates, skipped, nudge }
redis.call('HSET', key, 'last_call', call, 'last_answer', cjson.encode(answer))
return answer
