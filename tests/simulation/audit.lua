-- Looks at everything that the ledger of one account holds, between two steps, and says what cannot be.
-- It reads the keys as store/keys.py describes them and shares no line with the scripts that it checks.
-- KEYS[1] prefix
-- Returns {list of what is wrong, flat list of batch, lead, outcome JSON of the outcomes written since the last look,
-- the batches, those that have finished, 1 if somebody is to be told of one}.
local p = KEYS[1]
local bad, news = {}, {}
local function wrong(...) bad[#bad + 1] = table.concat({ ... }, ' ') end
local function hash(key)
  local flat, h = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do h[flat[i]] = flat[i + 1] end
  return h
end
local KINDS = { 'converted', 'failed', 'skipped', 'cancelled' }

-- What is in each batch before any chunk was formed.
local batches, holder, waiting, refused_waiting = {}, {}, {}, {}
local kind_of, fps = {}, {}
local function row(batch, lead, outcome, sent)
  local b = batches[batch]
  if b.rows[lead] then wrong('lead', lead, 'is in batch', batch, 'twice') end
  b.rows[lead], b.n = true, b.n + 1
  if outcome then
    local kind = kind_of[outcome] or cjson.decode(outcome)[1]
    kind_of[outcome] = kind
    b.by[kind] = b.by[kind] + 1
    b.ended[lead] = outcome
  else
    if holder[lead] then wrong('lead', lead, 'is in flight in', holder[lead], 'and in', batch) end
    holder[lead] = batch
    if sent then b.sent = b.sent + 1 end
  end
end
local names = redis.call('ZRANGE', p .. 'batches', 0, -1)
for _, batch in ipairs(names) do
  local key = p .. 'batch:' .. batch
  local b = { h = hash(key), rows = {}, ended = {}, listed = {}, n = 0, sent = 0, by = {} }
  batches[batch], fps[b.h.fp] = b, true
  for _, kind in ipairs(KINDS) do b.by[kind] = 0 end
  for _, id in ipairs(redis.call('SMEMBERS', key .. ':chunks')) do b.listed[id] = true end
  local outcome
  for _, element in ipairs(redis.call('LRANGE', key .. ':ended', 0, -1)) do
    if string.sub(element, 1, 1) == '[' then outcome = element else row(batch, element, outcome, false) end
  end
  for given, refused in pairs(hash(key .. ':invalid')) do row(batch, given, refused, false) end
  local inbox = redis.call('LRANGE', key .. ':inbox', 0, -1)
  for _, lead in ipairs(inbox) do row(batch, lead, nil, false) end
  local place = redis.call('ZSCORE', p .. (b.h.priority == 'interactive' and 'interactive:' or 'bulk:') .. b.h.fp, batch)
  local refused = redis.call('HGET', p .. 'options:' .. b.h.fp, 'refused_turn')
  b.held = b.h.held or b.h.canary_held
  if place and (b.held or b.h.drain) then wrong('batch', batch, 'is held or drained, and stands in its queue') end
  if #inbox > 0 then
    if b.h.drain then
      if not redis.call('ZSCORE', p .. 'draining', batch) then wrong('nobody will drain', batch) end
    elseif not b.held then
      local count = place and refused and tonumber(place) <= tonumber(refused) and refused_waiting or waiting
      count[b.h.fp] = (count[b.h.fp] or 0) + #inbox
      if not place then wrong('batch', batch, 'waits in no queue') end
    end
  end
end

-- Chunks: whose leads they hold, who of them is open, and in which sets a chunk of that state belongs.
for id = 1, tonumber(redis.call('GET', p .. 'chunks') or 0) do
  id = string.format('%d', id)
  local c = hash(p .. 'chunk:' .. id)
  if c.state then
    local held, canary = c.state == 'waiting', nil
    for batch, leads in string.gmatch(c.members, '([^;=]+)=([^;]*)') do
      local b = batches[batch]
      if not b.listed[id] then wrong('batch', batch, 'does not list chunk', id) end
      b.listed[id] = nil
      -- What may be out of date since a failover is read first.
      local writes = hash(p .. 'history')
      local now_writes = c.history == (writes.name or writes.id)
      if c.why == 'preflight' and now_writes and b.h.drain and cjson.decode(b.h.drain)[1] == 'cancelled' then
        wrong('chunk', id, 'is to be read for', batch, 'which was cancelled')
      end
      if not b.h.held and (c.canary or not b.h.canary_held) then held = false end
      local outdated = c.history and c.history ~= redis.call('HGET', p .. 'history', 'id') -- it is read first
      if b.h.drain and cjson.decode(b.h.drain)[1] == 'cancelled' and c.state == 'waiting' and not outdated then
        wrong('chunk', id, 'waits to be sent for', batch, 'which was cancelled')
      end
      if c.canary and c.members ~= batch .. '=' .. leads then wrong('the canary of', batch, 'travels with others') end
      for lead in string.gmatch(leads, '[^,]+') do
        row(batch, lead, nil, c.submitted == '1')
        if c.canary then b.ahead = (b.ahead or 0) + 1 end
      end
    end
    if c.members == '' or c.state == 'done' then wrong('chunk', id, 'is done and still there') end
    if held ~= (c.parked ~= nil) then wrong('chunk', id, 'is', held and 'held' or 'not held', 'and parked:', tostring(c.parked)) end
    if c.why == 'another' then -- it waits for other leads, outside of the bounds
      local apart = redis.call('SISMEMBER', p .. 'overdue', id) == 1
      if apart == held then wrong('chunk', id, 'waits for other leads, is', held and 'held' or 'not held', 'and apart:', tostring(apart)) end
    end
    local unsent, job = redis.call('SISMEMBER', p .. 'unsent', id) == 1, redis.call('SISMEMBER', p .. 'jobs', id) == 1
    local due = redis.call('ZSCORE', p .. 'due', id)
    if held ~= not due then wrong('chunk', id, 'is', c.state, held and 'and held' or '', 'and', due and 'due' or 'never due') end
    local before = c.why ~= 'another' and c.state == 'waiting' or c.state == 'sending' or c.why == 'preflight'
    if unsent ~= (not held and before) then wrong('chunk', id, 'is', c.state, 'and in unsent:', tostring(unsent)) end
    job = job or c.why == 'another' or ((c.why == 'overdue' or c.why == 'watched') and redis.call('SISMEMBER', p .. 'overdue', id) == 1)
    if job ~= not before then wrong('chunk', id, 'is', c.state, 'and in jobs:', tostring(job)) end
  end
end

for _, batch in ipairs(names) do
  local b = batches[batch]
  for id in pairs(b.listed) do wrong('batch', batch, 'lists chunk', id, 'which holds nothing of it') end
  -- While a batch is held for its canary, no more than the canary has left its inbox.
  if b.h.canary then
    local ended, quota = tonumber(b.h.canary_ended), tonumber(b.h.canary_left or 0)
    if ended + (b.ahead or 0) + quota ~= tonumber(b.h.canary) and not b.h.drain then
      wrong('the canary of', batch, 'has', ended, 'ended,', b.ahead or 0, 'on their way and', quota, 'to go, of', b.h.canary)
    end
    local enough = ended >= tonumber(b.h.canary) and tonumber(b.h.canary_failed) <= tonumber(b.h.canary_most)
    if b.h.canary_held and enough then wrong('batch', batch, 'is held though its canary lives') end
  end
  -- What a lead brings for its deal is kept for as long as it may be needed.
  for _, lead in ipairs(redis.call('HKEYS', p .. 'batch:' .. batch .. ':deals')) do
    local o = b.ended[lead] and cjson.decode(b.ended[lead]) or {}
    if not b.rows[lead] then wrong('batch', batch, 'keeps values for the deal of', lead, 'which it does not have') end
    if o[1] == 'converted' and o[2] ~= 'DEAL_NOT_UPDATED' then wrong('batch', batch, 'keeps values for the deal of', lead, 'which has them') end
  end
  if b.held and b.h.finished then wrong('batch', batch, 'has finished and is held') end
  local total, left = tonumber(b.h.total), tonumber(b.h.total) - tonumber(b.h.sent)
  if total ~= b.n then wrong('batch', batch, 'counts', b.h.total, 'leads and has', b.n) end
  if tonumber(b.h.sent) ~= b.sent then wrong('batch', batch, 'counts', b.h.sent, 'sent and has', b.sent) end
  for _, kind in ipairs(KINDS) do
    left = left - tonumber(b.h[kind])
    if tonumber(b.h[kind]) ~= b.by[kind] then wrong('batch', batch, 'counts', b.h[kind], kind, 'and has', b.by[kind]) end
  end
  if left < 0 then wrong('batch', batch, 'has', left, 'leads waiting') end
  if b.h.finished and (left > 0 or b.sent > 0) then wrong('batch', batch, 'has finished with leads that have not') end

  -- Whoever wants to know that it has finished was told, will be, or was given up.
  for n = 1, b.h.finished and tonumber(b.h.targets or 0) or 0 do
    local due = redis.call('ZSCORE', p .. 'callbacks', n .. ':' .. batch)
    local over = b.h['called:' .. n] or b.h['call_error:' .. n]
    if not due and not over then wrong('batch', batch, 'has finished, and nobody will tell target', n) end
    if due and b.h['called:' .. n] then wrong('batch', batch, 'has told target', n, 'and will again') end
  end

  -- An outcome once written stays as it is.
  local seen = hash(p .. 'audit:' .. batch)
  for lead, outcome in pairs(seen) do
    if b.ended[lead] ~= outcome then wrong('the outcome of', lead, 'in', batch, 'was', outcome, 'and is', b.ended[lead] or 'gone') end
  end
  for lead, outcome in pairs(b.ended) do
    if not seen[lead] then
      redis.call('HSET', p .. 'audit:' .. batch, lead, outcome)
      news[#news + 1] = batch
      news[#news + 1] = lead
      news[#news + 1] = outcome
    end
    if not holder[lead] then
      local shard = string.format('%d', tonumber(string.sub(lead, -12)) and tonumber(string.sub(lead, -12)) % 16381 or 0)
      if redis.call('SISMEMBER', p .. 'live:' .. shard, lead) == 1 then wrong('lead', lead, 'has ended and is still marked as in flight') end
    end
  end
end
for lead, batch in pairs(holder) do
  local shard = string.format('%d', tonumber(string.sub(lead, -12)) % 16381)
  if redis.call('SISMEMBER', p .. 'live:' .. shard, lead) == 0 then wrong('lead', lead, 'is in flight in', batch, 'and not marked so') end
end

-- Inboxes: what waits is counted, and will be looked at.
for fp in pairs(fps) do
  local o = hash(p .. 'options:' .. fp)
  local n = waiting[fp] or 0
  if tonumber(o.waiting or 0) ~= n then wrong('options', fp, 'count', o.waiting or '0', 'waiting and have', n) end
  local refused = refused_waiting[fp] or 0
  if tonumber(o.refused_waiting or 0) ~= refused then wrong('options', fp, 'count', o.refused_waiting or '0', 'refused and have', refused) end
  if refused > 0 and not redis.call('ZSCORE', p .. 'refused', fp) then wrong('nobody will drain what was refused of', fp) end
  local express = redis.call('ZSCORE', p .. 'express', fp)
  if express and express ~= redis.call('ZSCORE', p .. 'inboxes', fp) then wrong('options', fp, 'have two times to form chunks') end
  if redis.call('ZCOUNT', p .. 'interactive:' .. fp, '(' .. (o.refused_turn or 0), '+inf') > 0 and not o.probing and not express then wrong('nobody sees that leads of', fp, 'are interactive') end
  if n > 0 and not o.probing and not redis.call('ZSCORE', p .. 'inboxes', fp) then wrong('nobody will form chunks of', fp) end
  if o.probing and redis.call('EXISTS', p .. 'chunk:' .. o.probing) == 0 then
    wrong('options', fp, 'wait for chunk', o.probing, 'which has ended')
  end
end
local finished = {}
for _, batch in ipairs(names) do
  if batches[batch].h.finished then finished[#finished + 1] = batch end
end
return { bad, news, names, finished, redis.call('EXISTS', p .. 'callbacks') }
