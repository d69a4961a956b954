-- include: _batches
-- Writes one decision about a claimed chunk: its new fields, the outcomes of its leads, the counts of their batches.
-- Compare-and-set on the state and the token of the claim: a worker that wakes up late changes nothing.
-- KEYS[1] prefix
-- ARGV[1] chunk id, [2] token, [3] the state it must be in, [4] now, [5] JSON of the fields to set,
-- [6] JSON list of [lead, kind, outcome JSON], [7] JSON [kind, outcome JSON] for all others that are open, or "",
-- [8] 1: split off the second half of the open leads, [9] JSON of the organisation's changes
--     {pause, proves, refuse, accept, resolved, max_leads, job_took, look}, [10] retention seconds,
-- [11] sweep grace seconds,
-- [12] seconds within which its next message comes
-- Returns {1, id of the chunk split off or ""}, or {0} when the claim is no longer ours.
local p, id, now, retention, grace = KEYS[1], ARGV[1], tonumber(ARGV[4]), ARGV[10], tonumber(ARGV[11])
local key = p .. 'chunk:' .. id
local c = redis.call('HMGET', key, 'state', 'token', 'members', 'open', 'submitted', 'fp', 'created')
if c[1] ~= ARGV[3] or c[2] ~= ARGV[2] then return { 0 } end

local fields, changes = cjson.decode(ARGV[5]), cjson.decode(ARGV[9])
local fp, options = c[6], p .. 'options:' .. c[6]
local was_sent, is_sent = c[5] == '1', fields.submitted == '1'

-- Which batch each open lead belongs to, in payload order.
local batch_of, order = {}, {}
for batch, leads in string.gmatch(c[3], '([^;=]+)=([^;]*)') do
  for lead in string.gmatch(leads, '[^,]+') do
    batch_of[lead] = batch
    order[#order + 1] = lead
  end
end
local open = {}
if c[4] then
  for lead in string.gmatch(c[4], '[^,]+') do open[#open + 1] = lead end
else
  open = order
end

local counts = {} -- batch -> {kind -> n, sent -> n}
local function count(batch, what, n)
  counts[batch] = counts[batch] or {}
  counts[batch][what] = (counts[batch][what] or 0) + n
end
if is_sent and not was_sent then
  for _, lead in ipairs(open) do count(batch_of[lead], 'sent', 1) end
end
local function ended(lead, kind)
  count(batch_of[lead], kind, 1)
  if is_sent then count(batch_of[lead], 'sent', -1) end
  redis.call('SREM', live_key(p, lead), lead)
end

local fate = {}
for _, outcome in ipairs(cjson.decode(ARGV[6])) do fate[outcome[1]] = outcome end
local left = {}
for _, lead in ipairs(open) do
  if fate[lead] then
    redis.call('HSET', p .. 'batch:' .. batch_of[lead] .. ':exceptions', lead, fate[lead][3])
    ended(lead, fate[lead][2])
  else
    left[#left + 1] = lead
  end
end
if ARGV[7] ~= '' then
  local rest = cjson.decode(ARGV[7])
  for _, lead in ipairs(left) do ended(lead, rest[1]) end
  fields['end'] = rest[2]
  left = {}
end

local function members_of(leads)
  local parts, last = {}, nil
  for _, lead in ipairs(leads) do
    if batch_of[lead] == last then
      parts[#parts] = parts[#parts] .. ',' .. lead
    else
      last = batch_of[lead]
      parts[#parts + 1] = last .. '=' .. lead
    end
  end
  return table.concat(parts, ';')
end

local sibling = ''
if ARGV[8] == '1' and #left > 1 then
  local keep, go, gone = {}, {}, {}
  for i, lead in ipairs(left) do
    if i <= math.ceil(#left / 2) then keep[#keep + 1] = lead else
      go[#go + 1] = lead
      gone[lead] = true
    end
  end
  sibling = string.format('%d', redis.call('INCR', p .. 'chunks'))
  local other = p .. 'chunk:' .. sibling
  redis.call('HSET', other, 'state', 'waiting', 'fp', fp, 'members', members_of(go), 'created', c[7], 'due', now,
    'expected', now, 'attempts', fields.attempts, 'submitted', fields.submitted)
  local seen = {}
  for _, lead in ipairs(go) do
    if not seen[batch_of[lead]] then
      seen[batch_of[lead]] = true
      redis.call('RPUSH', p .. 'batch:' .. batch_of[lead] .. ':chunks', sibling)
    end
  end
  redis.call('SADD', p .. 'unsent', sibling)
  redis.call('ZADD', p .. 'due', now + grace, sibling)
  local stay = {}
  for _, lead in ipairs(order) do
    if not gone[lead] then stay[#stay + 1] = lead end
  end
  order, left = stay, keep
  fields.members = members_of(order)
end

if fields.state ~= 'done' and #left == 0 then return redis.error_reply('MOVE nothing is open in chunk ' .. id) end
if fields.state == 'done' and #left > 0 then return redis.error_reply('MOVE leads are open in chunk ' .. id) end

for name, value in pairs(fields) do
  if value == '' then redis.call('HDEL', key, name) else redis.call('HSET', key, name, value) end
end
redis.call('HDEL', key, 'lease', 'token')
if #left == #order then redis.call('HDEL', key, 'open') else redis.call('HSET', key, 'open', table.concat(left, ',')) end
if fields.state == 'done' then
  redis.call('HDEL', key, 'due', 'expected', 'open', 'named', 'said', 'why', 'outage_since', 'outages', 'claimed', 'lags', 'polls')
  redis.call('ZREM', p .. 'due', id)
  redis.call('SREM', p .. 'unsent', id)
  redis.call('SREM', p .. 'jobs', id)
else
  local expected = math.min(tonumber(fields.due), now + tonumber(ARGV[12]))
  redis.call('HSET', key, 'expected', expected)
  redis.call('ZADD', p .. 'due', expected + grace, id)
  local unsent = fields.state == 'waiting'
  redis.call(unsent and 'SADD' or 'SREM', p .. 'unsent', id)
  redis.call(unsent and 'SREM' or 'SADD', p .. 'jobs', id)
end

for batch, by in pairs(counts) do
  for what, n in pairs(by) do
    if n ~= 0 then redis.call('HINCRBY', p .. 'batch:' .. batch, what, n) end
  end
  finish_batch(p, batch, ARGV[4], retention)
end

if changes.pause then
  redis.call('DEL', p .. 'pause')
  redis.call('HSET', p .. 'pause', 'code', changes.pause[1], 'reason', changes.pause[2], 'hint', changes.pause[3],
    'since', ARGV[4], 'probe', changes.pause[4])
elseif changes.proves and redis.call('HEXISTS', p .. 'pause', 'probe') == 1 then
  redis.call('DEL', p .. 'pause') -- a probe got through: what stood in the way is gone
end
if changes.max_leads then redis.call('SET', p .. 'max_leads', changes.max_leads, 'EX', 86400) end
if changes.job_took then
  redis.call('LPUSH', p .. 'jobtimes', changes.job_took)
  redis.call('LTRIM', p .. 'jobtimes', 0, 127)
end
if changes.look then -- {size, as it was known, as it is learnt}: one observation for each change
  local size, before, learnt = unpack(changes.look)
  if (redis.call('HGET', p .. 'looks', size) or '') == before then redis.call('HSET', p .. 'looks', size, learnt) end
end

-- Options: accepted for the first time, or refused, or the chunk that tried them is over.
if changes.accept then redis.call('HSET', options, 'accepted', 1) end
if changes.resolved then redis.call('HSET', options, 'resolved', changes.resolved) end
if changes.refuse then
  redis.call('HDEL', options, 'accepted', 'resolved')
  redis.call('HSET', options, 'refusal', changes.refuse[1], 'refused_at', ARGV[4], 'waiting', 0)
  local batch = redis.call('LPOP', p .. 'queue:' .. fp)
  while batch do
    redis.call('HSET', p .. 'batch:' .. batch, 'drain', changes.refuse[2])
    redis.call('SADD', p .. 'drain', batch)
    batch = redis.call('LPOP', p .. 'queue:' .. fp)
  end
  redis.call('ZREM', p .. 'inboxes', fp)
  redis.call('HDEL', options, 'flush')
end
if redis.call('HGET', options, 'probing') == id and (changes.accept or fields.state == 'done') then
  redis.call('HDEL', options, 'probing')
  if tonumber(redis.call('HGET', options, 'waiting') or 0) > 0 then redis.call('ZADD', p .. 'inboxes', now, fp) end
end
return { 1, sibling }
