-- include: _room
-- include: _endings
-- Adds one slice of leads to a batch: the new ones wait in its inbox, those in flight elsewhere are skipped.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] id of this call (the same call repeated changes nothing and answers the same),
-- [3] now, [4] linger seconds, [5] leads a payload, [6] outcome JSON of a lead that is in flight elsewhere, [7] leads, comma-separated,
-- [8] JSON lead -> JSON of what it brings along, or "", [9] seconds without a payload of its options after
-- which a lead does not wait for company, or "": it always does
-- Returns {accepted, duplicates, skipped, seconds until a chunk can be formed, or "" when nobody need be told}
local p, batch, call, now, linger, size = KEYS[1], ARGV[1], ARGV[2], time_of(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local key = p .. 'batch:' .. batch
count_at(p, now)
local b = redis.call('HMGET', key, 'fp', 'shards', 'last_call', 'last_answer', 'sealed', 'priority', 'drain', 'held', 'canary_held', 'history')
if not b[1] then return redis.error_reply('UNKNOWN_BATCH ' .. batch) end
if b[3] == call then return cjson.decode(b[4]) end
if b[5] == '1' then reopen_batch(p, batch, now) end -- sealed as abandoned, or cancelled, before its producer came back
local fp, shards = b[1], tonumber(b[2])
if b[7] and redis.call('HEXISTS', p .. 'options:' .. fp, 'refusal') == 0 then -- it has been accepted since
  forgive_batch(p, batch, fp, b[6], now)
  b[7] = redis.call('HGET', key, 'drain')
end
local drains = b[7] or drain_refused(p, batch, fp, b[6], now)
-- Leads of two histories in one inbox: those of the earlier one may be out of date, and nobody can tell them apart.
local id = history_of(p, now).id
if b[10] and b[10] ~= '' and id ~= '' and b[10] ~= id then redis.call('HSET', key, 'history', 'several') end
local members = key .. ':members:'
local fresh, skipped, duplicates = {}, {}, 0
for lead in string.gmatch(ARGV[7], '[^,]+') do
  if redis.call('SADD', members .. shard_of(lead, shards), lead) == 0 then
    duplicates = duplicates + 1
  elseif redis.call('SADD', live_key(p, lead), lead) == 0 then
    skipped[#skipped + 1] = lead
  else
    fresh[#fresh + 1] = lead
  end
end
local function push(list, leads)
  for i = 1, #leads, 1000 do redis.call('RPUSH', list, unpack(leads, i, math.min(i + 999, #leads))) end
end
-- A batch that ended with its canary had nothing to hold. What comes now waits until the canary has ended well, or a person
-- lets it go. Returns when it is held since; nil where it is not.
local function hold_behind_canary()
  local c = redis.call('HMGET', key, 'canary', 'canary_left', 'canary_let_go', 'canary_ended', 'canary_failed', 'canary_most')
  if not c[1] or c[2] or c[3] then return end
  if tonumber(c[4]) >= tonumber(c[1]) and tonumber(c[5]) <= tonumber(c[6]) then return end
  redis.call('HSET', key, 'canary_held', now)
  return now
end
local nudge = ''
local values = #fresh > 0 and ARGV[8] ~= '' and cjson.decode(ARGV[8]) or {}
for _, lead in ipairs(fresh) do
  if values[lead] then redis.call('HSET', key .. ':deals', lead, values[lead]) end
end
if #fresh > 0 then
  push(key .. ':inbox', fresh)
  b[9] = b[9] or hold_behind_canary()
  if drains then
    redis.call('ZADD', p .. 'draining', 'NX', now, batch)
    nudge = '0'
  elseif not b[8] and not b[9] then
    local before = redis.call('ZSCORE', p .. 'inboxes', fp)
    local ready = queue_batch(p, batch, fp, b[6], #fresh, now, linger, size, tonumber(ARGV[9]))
    local sooner = not before or (ready and tonumber(before) > ready)
    -- Interactive leads need no room in the window, so they need not wait for the message that tells of some.
    if ready and (sooner or b[6] == 'interactive') then nudge = tostring(math.max(0, ready - now)) end
  end
end
if #skipped > 0 then
  redis.call('RPUSH', key .. ':ended', with_story(ARGV[6], story_of('already_queued', now), 1))
  push(key .. ':ended', skipped)
  redis.call('HINCRBY', key, 'skipped', #skipped)
  redis.call('HINCRBY', key, 'elsewhere', #skipped)
  tell_ends(p, batch, ARGV[6], skipped)
end
redis.call('HINCRBY', key, 'total', #fresh + #skipped)
if #fresh + #skipped > 0 then count(p, 'enqueued|', #fresh + #skipped) end
redis.call('ZADD', p .. 'unsealed', now, batch)
local answer = { #fresh, duplicates, #skipped, nudge }
redis.call('HSET', key, 'last_call', call, 'last_answer', cjson.encode(answer))
return answer
