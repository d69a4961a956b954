-- include: _counts
-- include: _inboxes
-- include: _story
-- Shared by the scripts that end leads. Retention is seconds.
-- A lead that a batch has accepted is in exactly one place: its inbox, an open chunk, or its list of ended leads.

-- The shard of a set of lead ids: small integer sets stay in Redis' compact encoding (about 10 bytes a lead).
-- The numbers of shards are prime, so ids that are spaced evenly spread evenly.
local function shard_of(lead, shards)
  if shards <= 1 then return 0 end
  return tonumber(string.sub(lead, -12)) % shards
end

local LIVE_SHARDS = 16381

local function live_key(p, lead)
  return string.format('%slive:%d', p, shard_of(lead, LIVE_SHARDS)) -- twice as fast as to concatenate a number
end

-- A batch's failed leads by their code, for people who look at it: `failed:CODE` is how many, and `reason:CODE` has the first
-- message and lead with it. Zoho documents some dozens of codes; what a server invents beyond that is `other`.
local MOST_CODES = 40

local function count_failures(p, batch, outcome, leads)
  if string.sub(outcome, 1, 9) ~= '["failed"' then return end
  local key, o = p .. 'batch:' .. batch, cjson.decode(outcome)
  local code = o[2] or ''
  if redis.call('HEXISTS', key, 'reason:' .. code) == 0 then
    if redis.call('HINCRBY', key, 'failed_codes', 1) > MOST_CODES then
      redis.call('HINCRBY', key, 'failed_codes', -1)
      code = 'other'
    end
    redis.call('HSETNX', key, 'reason:' .. code, cjson.encode({ o[3] or '', leads[1] }))
  end
  redis.call('HINCRBY', key, 'failed:' .. code, #leads)
end

-- Says that leads have ended, on the stream of those who want to know of each (ledger/events.py). `events:keep` is how
-- many are kept; where it is not there, nobody has asked for any. They are counted in any case.
local function tell_ends(p, batch, outcome, leads)
  count_failures(p, batch, outcome, leads)
  count_ends(p, outcome, #leads)
  local keep = redis.call('GET', p .. 'events:keep')
  if not keep then return end
  local o = cjson.decode(outcome)
  for _, lead in ipairs(leads) do
    redis.call('XADD', p .. 'events', 'MAXLEN', '~', keep, '*', 'lead', lead, 'batch', batch, 'outcome', o[1],
      'code', o[2] or '', 'message', o[3] or '', 'job', o[4] or '', 'attempts', o[5] or 0)
  end
end

-- What the conversions of leads under way make: `making` has the lead by each digest, `identities` the digests by lead.
local function free_identities(p, lead)
  local own = redis.call('HGET', p .. 'identities', lead)
  if not own then return end
  for digest in string.gmatch(own, '[^,]+') do
    if redis.call('HGET', p .. 'making', digest) == lead then redis.call('HDEL', p .. 'making', digest) end
  end
  redis.call('HDEL', p .. 'identities', lead)
end

-- The lead in flight whose conversion makes what has this digest; nil where none does.
local function holder_of(p, digest)
  local lead = redis.call('HGET', p .. 'making', digest)
  return lead and redis.call('SISMEMBER', live_key(p, lead), lead) == 1 and lead or nil
end

local function make_identities(p, lead, digests)
  if digests == '' or redis.call('SISMEMBER', live_key(p, lead), lead) == 0 then return end
  for digest in string.gmatch(digests, '[^,]+') do redis.call('HSET', p .. 'making', digest, lead) end
  redis.call('HSET', p .. 'identities', lead, digests)
end

-- Ends leads of a batch in the same way, at most some thousands: their outcome once, then the ids, which Redis keeps
-- as integers of 10 bytes. Other batches may have them from now on. `story` is told with it, for `outcomes` outcomes in a row;
-- nil: it stands before.
local function end_leads(p, batch, kind, outcome, leads, story, outcomes)
  local key = p .. 'batch:' .. batch
  redis.call('RPUSH', key .. ':ended', story and with_story(outcome, story, outcomes or 1) or outcome, unpack(leads))
  for _, lead in ipairs(leads) do redis.call('SREM', live_key(p, lead), lead) end
  if redis.call('EXISTS', p .. 'identities') == 1 then
    for _, lead in ipairs(leads) do free_identities(p, lead) end
  end
  redis.call('HINCRBY', key, kind, #leads)
  tell_ends(p, batch, outcome, leads)
end

-- All keys of a batch that stay when it has finished.
local function for_keys_of_batch(key, shards, what, ...)
  redis.call(what, key, ...)
  redis.call(what, key .. ':ended', ...)
  redis.call(what, key .. ':invalid', ...)
  redis.call(what, key .. ':deals', ...)
  for shard = 0, shards - 1 do
    redis.call(what, key .. ':members:' .. string.format('%d', shard), ...)
  end
end

-- Counts how many runs of a profile in a row have failed wholly. A run is judged once: when its batch ends, or when it
-- fails itself. One that found nothing, or whose leads were all skipped or called off, says nothing.
local function judge_run(p, id, failed)
  local run = p .. 'run:' .. id
  local profile = redis.call('HGET', run, 'profile')
  if not profile or redis.call('HSETNX', run, 'judged', failed and 'failed' or 'good') == 0 then return end
  if failed then
    redis.call('HINCRBY', p .. 'profile:' .. profile, 'failures', 1)
  else
    redis.call('HDEL', p .. 'profile:' .. profile, 'failures')
  end
end

-- Ends a batch whose every lead has its outcome: counts are final, its keys begin to expire.
-- Returns 1 when it ended now.
local function finish_batch(p, batch, now, retention)
  local key = p .. 'batch:' .. batch
  local f = redis.call('HMGET', key, 'sealed', 'finished', 'total', 'converted', 'failed', 'skipped', 'cancelled', 'shards', 'fp')
  if f[1] ~= '1' or f[2] then return 0 end
  local ended = tonumber(f[4]) + tonumber(f[5]) + tonumber(f[6]) + tonumber(f[7])
  if ended < tonumber(f[3]) then return 0 end
  -- Opened again by the same key, and nothing was added: it has finished when it had, and who was told then knows.
  local before = redis.call('HMGET', key, 'finished_before', 'total_before')
  local same = before[1] and before[2] == f[3]
  redis.call('HSET', key, 'finished', same and before[1] or now)
  redis.call('HDEL', key, 'finished_before', 'total_before')
  redis.call('HDEL', key, 'held', 'held_by', 'held_at', 'canary_held')
  if tonumber(f[4]) + tonumber(f[5]) > 0 then judge_run(p, batch, f[4] == '0') end
  for n = 1, tonumber(redis.call('HGET', key, 'targets') or 0) do
    if not same or redis.call('HEXISTS', key, 'called:' .. n) == 0 then
      redis.call('HDEL', key, 'called:' .. n, 'call_tries:' .. n, 'call_error:' .. n)
      redis.call('ZADD', p .. 'callbacks', now, n .. ':' .. batch)
    end
  end
  redis.call('ZREM', p .. 'unsealed', batch)
  for_keys_of_batch(key, tonumber(f[8]), 'EXPIRE', retention)
  if redis.call('HINCRBY', p .. 'options:' .. f[9], 'batches', -1) <= 0 then
    redis.call('EXPIRE', p .. 'options:' .. f[9], retention)
  end
  return 1
end

-- Lets a batch take leads (again): one that was sealed, since its producer was slow to come back or calls with the same
-- key, has not finished, and does not expire.
local function reopen_batch(p, batch, now)
  local key = p .. 'batch:' .. batch
  local f = redis.call('HMGET', key, 'finished', 'shards', 'fp')
  if f[1] then
    redis.call('HSET', key, 'finished_before', f[1], 'total_before', redis.call('HGET', key, 'total'))
    redis.call('HDEL', key, 'finished')
    for_keys_of_batch(key, tonumber(f[2]), 'PERSIST')
    redis.call('HINCRBY', p .. 'options:' .. f[3], 'batches', 1)
    redis.call('PERSIST', p .. 'options:' .. f[3])
  end
  redis.call('HSET', key, 'sealed', 0)
  redis.call('ZADD', p .. 'unsealed', now, batch)
end
