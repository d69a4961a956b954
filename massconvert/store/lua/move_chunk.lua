-- include: _full
-- include: _holds
-- include: _lease
-- Writes one decision about a claimed chunk: its new fields, the outcomes of its leads, the counts of their batches.
-- Compare-and-set on the state and the token of the claim: a worker that wakes up late changes nothing.
-- A chunk that is done is gone: its leads are in their batches' lists of ended ones.
-- KEYS[1] prefix
-- ARGV[1] chunk id, [2] token, [3] the state it must be in, [4] now, [5] JSON of the fields to set,
-- [6] JSON list of [kind, outcome JSON, leads], [7] JSON [kind, outcome JSON] for all others that are open, or "",
-- [8] 1: split off the second half of the open leads, [9] JSON of the organisation's changes
--     {row, told, history, identities, pause, proves, refuse, blame, accept, links, resolved, max_leads, max_read, job_took, look, fared, trial},
-- [10] retention seconds,
-- [11] sweep grace seconds,
-- [12] seconds within which its next message comes,
-- [13] JSON list of {leads, fields}, of chunks that go on with some of the leads, or ""
-- Returns {1, ids of the chunks set apart or split off}, or {0} when the claim is no longer ours, or when Redis' history has broken
-- since: what was decided by may be out of date. Only the answer to our own payload is not.
local p, id, now, retention, grace = KEYS[1], ARGV[1], time_of(ARGV[4]), ARGV[10], tonumber(ARGV[11])
local key = p .. 'chunk:' .. id
local c = redis.call('HMGET', key, 'state', 'token', 'members', 'submitted', 'fp', 'created', 'canary', 'express',
  'sent_at', 'why', 'history', 'story', 'trace')
if c[1] ~= ARGV[3] or c[2] ~= ARGV[2] then return { 0 } end

local fields, changes = cjson.decode(ARGV[5]), cjson.decode(ARGV[9])
local h, stamp = history_of(p, now), changes.history or c[11]
local own = ARGV[3] == 'sending' and fields.state ~= 'done'
if not own and is_chunk_outdated(h, c[1], c[10], stamp, c[6]) then
  if ARGV[3] ~= 'sending' then -- a sender is taken for lost when its lease is over, as always
    redis.call('HDEL', key, 'lease', 'token')
    redis.call('ZADD', p .. 'due', now, id)
  end
  return { 0 }
end
if stamp then fields.history = stamp end
count_move(p, now, changes.row, fields, c[6], changes.job_took)
fields.story = story_with(c[12], changes.row, now, changes.told)
local fp, options, canary, express = c[5], p .. 'options:' .. c[5], c[7], c[8]
local was_sent, is_sent = c[4] == '1', fields.submitted == '1'

-- Which leads of each batch end now, and how, and which stay open.
local fate, rest = {}, nil
for _, same in ipairs(cjson.decode(ARGV[6])) do
  for _, lead in ipairs(same[3]) do fate[lead] = same end
end
if ARGV[7] ~= '' then rest = cjson.decode(ARGV[7]) end
local asides, away, siblings = ARGV[13] ~= '' and cjson.decode(ARGV[13]) or {}, {}, {}
for _, aside in ipairs(asides) do
  aside.id, aside.gone = string.format('%d', redis.call('INCR', p .. 'chunks')), {}
  for _, lead in ipairs(aside.leads) do away[lead] = aside end
end
local touched, left, open = {}, {}, 0
for _, segment in ipairs(segments_of(c[3])) do
  local batch, stay, go, groups, by, sent = segment[1], {}, {}, {}, {}, 0
  for _, lead in ipairs(segment[2]) do
    local how = fate[lead] or rest
    if away[lead] then
      if not go[away[lead].id] then
        go[away[lead].id] = {}
        table.insert(away[lead].gone, { batch, go[away[lead].id] })
        redis.call('SADD', p .. 'batch:' .. batch .. ':chunks', away[lead].id)
      end
      table.insert(go[away[lead].id], lead)
      if away[lead].fields.submitted == '1' then sent = sent + 1 end
    elseif not how then
      stay[#stay + 1] = lead
    else
      if not by[how[2]] then
        by[how[2]] = { how[1], how[2], {} }
        groups[#groups + 1] = by[how[2]]
      end
      table.insert(by[how[2]][3], lead)
    end
  end
  for n, group in ipairs(groups) do
    end_leads(p, batch, group[1], group[2], group[3], n == 1 and fields.story or nil, #groups)
    if canary then
      redis.call('HINCRBY', p .. 'batch:' .. batch, 'canary_ended', #group[3])
      if group[1] == 'failed' then redis.call('HINCRBY', p .. 'batch:' .. batch, 'canary_failed', #group[3]) end
    end
    if cjson.decode(group[2])[2] == 'DEAL_NOT_UPDATED' then
      redis.call('HINCRBY', p .. 'batch:' .. batch, 'not_updated', #group[3])
    elseif group[1] == 'converted' and redis.call('EXISTS', p .. 'batch:' .. batch .. ':deals') == 1 then
      redis.call('HDEL', p .. 'batch:' .. batch .. ':deals', unpack(group[3])) -- there will be no retry that needs them
    end
  end
  sent = sent + (is_sent and #stay or 0) - (was_sent and #segment[2] or 0)
  if sent ~= 0 then redis.call('HINCRBY', p .. 'batch:' .. batch, 'sent', sent) end
  if #stay > 0 then left[#left + 1] = { batch, stay } else redis.call('SREM', p .. 'batch:' .. batch .. ':chunks', id) end
  touched[#touched + 1] = batch
  open = open + #stay
end
if fields.state ~= 'done' and open == 0 then return redis.error_reply('MOVE nothing is open in chunk ' .. id) end
if fields.state == 'done' and open > 0 then return redis.error_reply('MOVE leads are open in chunk ' .. id) end

-- What the conversions of leads will make, now that it is known what is there; what they claimed in addition is free again.
for lead, digests in pairs(changes.identities or {}) do
  free_identities(p, lead)
  make_identities(p, lead, digests)
end

-- Makes a chunk that goes on with some of the leads.
local function make_chunk(id, of, segments, expected, mark, leads)
  local other = p .. 'chunk:' .. id
  for name, value in pairs(of) do
    if value ~= '' then redis.call('HSET', other, name, value) end
  end
  redis.call('HSET', other, 'fp', fp, 'members', members_of(segments), 'created', c[6], 'expected', expected,
    'story', story_with(fields.story, mark, now, id .. '|' .. leads))
  if stamp then redis.call('HSET', other, 'history', stamp) end
  if c[9] then redis.call('HSET', other, 'sent_at', c[9]) end
  if canary then redis.call('HSET', other, 'canary', canary) end
  if express then redis.call('HSET', other, 'express', express) end
  if c[13] then redis.call('HSET', other, 'trace', c[13]) end
  bound_chunk(p, id, of.state, of.why)
  redis.call('ZADD', p .. 'due', now + grace, id)
  place_chunk(p, id, now)
  siblings[#siblings + 1] = id
end
for _, aside in ipairs(asides) do
  make_chunk(aside.id, aside.fields, aside.gone, now, 'set_apart', #aside.leads)
end

-- On trial one payload at a time is split, and its parts; of those without an answer ever fewer.
local splits = ARGV[8] == '1' and open > 1
if splits and changes.trial then
  local key, kind, value, most = p .. 'on_trial', unpack(changes.trial)
  if kind == 'root' then
    splits = (redis.call('HGET', key, 'root') or value) == value
    if splits then redis.call('HSET', key, 'root', value) end
  else
    splits = now >= tonumber(redis.call('HGET', key, 'at') or 0)
    if splits then
      local before = redis.call('HINCRBY', key, 'splits', 1) - 1
      redis.call('HSET', key, 'at', now + math.min(most, value * 2 ^ math.min(before, 20)))
    end
  end
  redis.call('EXPIRE', key, math.ceil(kind == 'root' and most or 2 * most))
end
if splits then
  local keep, go, room, sibling = {}, {}, math.ceil(open / 2), string.format('%d', redis.call('INCR', p .. 'chunks'))
  for _, segment in ipairs(left) do
    local batch, first, second = segment[1], {}, {}
    for _, lead in ipairs(segment[2]) do
      table.insert(room > 0 and first or second, lead)
      room = room - 1
    end
    if #first > 0 then keep[#keep + 1] = { batch, first } else redis.call('SREM', p .. 'batch:' .. batch .. ':chunks', id) end
    if #second > 0 then
      go[#go + 1] = { batch, second }
      redis.call('SADD', p .. 'batch:' .. batch .. ':chunks', sibling)
    end
  end
  left = keep
  make_chunk(sibling, fields, go, fields.due, 'split_off', open - math.ceil(open / 2)) -- it goes on as the first half does
end

if fields.state == 'done' then
  redis.call('DEL', key)
  redis.call('ZREM', p .. 'due', id)
  bound_chunk(p, id, '', '', true)
else
  fields.members = members_of(left)
  local set, blank = {}, { 'lease', 'token' }
  for name, value in pairs(fields) do
    if value == '' then
      blank[#blank + 1] = name
    else
      set[#set + 1], set[#set + 2] = name, value
    end
  end
  redis.call('HSET', key, unpack(set))
  redis.call('HDEL', key, unpack(blank))
  expect(p .. 'due', id, key, tonumber(fields.due), now, tonumber(ARGV[12]), grace)
  bound_chunk(p, id, fields.state, fields.why)
  place_chunk(p, id, now)
end

if fields.state == 'waiting' and end_cancelled(p, id, now) > 0 and redis.call('EXISTS', key) == 0 then fields.state = 'done' end
for _, sibling in ipairs(siblings) do
  if redis.call('HGET', p .. 'chunk:' .. sibling, 'state') == 'waiting' then end_cancelled(p, sibling, now) end
end

for _, batch in ipairs(touched) do
  if canary then judge_canary(p, batch, now) end
  finish_batch(p, batch, now, retention)
end

if changes.pause then
  local reason = { 'code', changes.pause[1], 'reason', changes.pause[2], 'hint', changes.pause[3] }
  if redis.call('EXISTS', p .. 'pause') == 1 and redis.call('HEXISTS', p .. 'pause', 'probe') == 0 then
    -- What a person has stopped, only a person starts.
    redis.call('HSET', p .. 'pause', 'also_code', reason[2], 'also_reason', reason[4], 'also_hint', reason[6])
  else
    redis.call('DEL', p .. 'pause')
    redis.call('HSET', p .. 'pause', 'since', now, 'probe', now + changes.pause[4], unpack(reason))
  end
elseif changes.proves then
  end_refusal(p)
end
for _, how in ipairs(changes.fared or {}) do
  redis.call('HSET', p .. 'fared', how, now)
  if how == 'converted' then redis.call('DEL', p .. 'on_trial') end
end
if changes.max_leads then redis.call('SET', p .. 'max_leads', changes.max_leads, 'EX', 86400) end
if changes.max_read then redis.call('SET', p .. 'max_read', changes.max_read, 'EX', 86400) end
if changes.job_took then
  redis.call('LPUSH', p .. 'jobtimes', changes.job_took)
  redis.call('LTRIM', p .. 'jobtimes', 0, 127)
end
if changes.look then -- {size, as it was known, as it is learnt}: one observation for each change
  local size, before, learnt = unpack(changes.look)
  if (redis.call('HGET', p .. 'looks', size) or '') == before then redis.call('HSET', p .. 'looks', size, learnt) end
end

-- Options: accepted for the first time, or refused, or the chunk that tried them is over.
if changes.accept then
  redis.call('HSET', options, 'accepted', 1)
  redis.call('HDEL', options, 'blamed', 'blamed_as', 'refusal', 'refused_at') -- what was refused before is fixed
  readmit_queues(p, fp, now)
elseif changes.blame and redis.call('HEXISTS', options, 'accepted') == 0 then -- several in a row make a refusal
  if redis.call('HGET', options, 'blamed_as') ~= changes.blame[3] then
    redis.call('HSET', options, 'blamed', 0, 'blamed_as', changes.blame[3])
  end
  if redis.call('HINCRBY', options, 'blamed', 1) >= changes.blame[4] then changes.refuse = changes.blame end
end
if changes.resolved then redis.call('HSET', options, 'resolved', changes.resolved) end
if changes.refuse then
  redis.call('HDEL', options, 'accepted', 'resolved', 'flush', 'blamed', 'blamed_as')
  redis.call('HSET', options, 'refusal', changes.refuse[1], 'refused_at', now)
  refuse_queues(p, fp, changes.refuse[2], now)
end
if changes.accept or fields.state == 'done' or fields.why == 'another' then end_probe(p, fp, id, now) end
local tries = changes.links and redis.call('HGET', options, 'probing') -- the call for a single lead has taken them
if tries then end_probe(p, fp, tries, now) end
return { 1, unpack(siblings) }
