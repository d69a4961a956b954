-- include: _holds
-- Forms chunks from the inboxes that are ready, each inbox in its turn, while the window has room. Interactive leads come
-- first, but for one payload in four while others wait, and need no room in the window up to a few payloads.
-- KEYS[1] prefix
-- ARGV[1] now, [2] window (chunks waiting to be sent), [3] most jobs, [4] leads a payload, [5] linger seconds,
-- [6] most chunks to form now, [7] seconds after which the sweep looks for the messages of these chunks,
-- [8] payloads with interactive leads that may exceed the window and the most jobs,
-- [9] seconds after a break of Redis' history in which new batches are read before they are sent, too
-- Returns {ids of the chunks formed, of each its batches as batch=leads;batch=leads, seconds until the next inbox is ready
-- or "", 1 if the window is full, 1 if leads of a refused or cancelled batch are left to drain}. A full Redis takes no new
-- chunk; what is under way goes on.
local p, now, window, most_jobs, extra = KEYS[1], time_of(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[8])
local h, doubt = history_of(p, now), tonumber(ARGV[9])
local size = tonumber(ARGV[4])
local lower = tonumber(redis.call('GET', p .. 'max_leads') or size) or size -- ignore what is not a number: we never write it
if lower >= 1 then size = math.min(size, math.floor(lower)) end
local most_read = tonumber(redis.call('GET', p .. 'max_read') or 2 * size) or 2 * size
local IN_A_ROW = 3

-- Payloads of a lead to be linked come by fifty, and take as little room as five do: while they are sent, the next ones are matched.
local LINKS = 5
local function room(more)
  local links = redis.call('SCARD', p .. 'linking')
  local unsent = redis.call('SCARD', p .. 'unsent') - links + links / LINKS
  return unsent < window + more and redis.call('SCARD', p .. 'jobs') < most_jobs + more
end
local function ready(inboxes)
  return redis.call('ZRANGEBYSCORE', p .. inboxes, '-inf', now + 0.001, 'LIMIT', 0, 1)[1]
end

-- Takes leads for chunk `id` from the batches of a queue in turn. A canary travels alone. Returns leads that are missing.
local chunk -- {members, traces, canary, express}
local function fill(fp, priority, id, need)
  local queue, first = queue_of(p, fp, priority), first_turn(p, fp)
  while need > 0 and not chunk.canary do
    local batch = redis.call('ZRANGEBYSCORE', queue, first, '+inf', 'LIMIT', 0, 1)[1]
    if not batch then break end
    local key = p .. 'batch:' .. batch
    local canary = tonumber(redis.call('HGET', key, 'canary_left') or nil) -- nil: all may go
    if canary and #chunk.members > 0 then break end
    local leads = redis.call('LPOP', key .. ':inbox', canary and math.min(need, canary) or need)
    if leads and #leads > 0 then
      need = need - #leads
      chunk.members[#chunk.members + 1] = { batch, leads }
      local trace = redis.call('HGET', key, 'trace')
      if trace then chunk.traces[#chunk.traces + 1] = batch .. '=' .. #leads .. '=' .. trace end
      chunk.outdated = chunk.outdated or is_batch_outdated(p, batch, h, doubt)
      redis.call('SADD', key .. ':chunks', id)
    end
    if redis.call('LLEN', key .. ':inbox') == 0 then
      redis.call('ZREM', queue, batch)
    else
      redis.call('ZADD', queue, redis.call('HINCRBY', p .. 'options:' .. fp, 'turn', 1), batch)
    end
    if canary and leads and #leads > 0 then
      chunk.canary = batch
      redis.call('HINCRBY', key, 'canary_left', -#leads)
    end
  end
  return need
end

-- Whether what is taken next with these options may be out of date.
local function begins_outdated(fp, order)
  if h.since == 0 and h.id ~= '' then return false end
  for _, priority in ipairs(order) do
    local batch = redis.call('ZRANGEBYSCORE', queue_of(p, fp, priority), first_turn(p, fp), '+inf', 'LIMIT', 0, 1)[1]
    if batch then return is_batch_outdated(p, batch, h, doubt) end
  end
end

-- Once the whole canary is in payloads, its batch is held; a batch that has no more leads has nothing to hold.
local function end_canary(batch)
  local key = p .. 'batch:' .. batch
  if redis.call('HGET', key, 'canary_left') ~= '0' then return end
  redis.call('HDEL', key, 'canary_left')
  if redis.call('HGET', key, 'sealed') ~= '1' or redis.call('LLEN', key .. ':inbox') > 0 then
    hold_for_canary(p, batch, now)
  end
end

local formed, batches, full = {}, {}, 0
local drains = redis.call('EXISTS', p .. 'draining', p .. 'refused', p .. 'drain')
local asked = redis.pcall('SETRANGE', p .. 'room', 0, '') -- as in _room.lua
if type(asked) == 'table' then
  if string.find(asked.err, 'OOM', 1, true) then return { formed, batches, '', 1, drains } end
  return asked
end
for turn = 1, tonumber(ARGV[6]) do
  local overtaken = tonumber(redis.call('GET', p .. 'overtaken') or 0)
  local fp = overtaken < IN_A_ROW and room(extra) and ready('express')
  local order = { 'interactive', 'bulk' }
  if fp then
    redis.call('SET', p .. 'overtaken', overtaken + 1)
  else
    if not room(0) then
      full = 1
      break
    end
    fp = ready('inboxes')
    if not fp then break end
    if overtaken > 0 then redis.call('DEL', p .. 'overtaken') end
    if overtaken >= IN_A_ROW then order = { 'bulk', 'interactive' } end
  end
  local options = p .. 'options:' .. fp
  local id = string.format('%d', redis.call('INCR', p .. 'chunks'))
  -- Leads that are read before they are sent: one read takes twice as many as a payload.
  local begin = redis.call('HGET', options, 'begin')
  local reads = begin or begins_outdated(fp, order)
  local most = reads and math.max(1, math.min(2 * size, most_read)) or size
  local need = most
  chunk = { members = {}, traces = {} }
  adopt_queues(p, fp, 50)
  for _, priority in ipairs(order) do
    local before = need
    need = fill(fp, priority, id, need)
    if priority == 'interactive' and need < before then chunk.express = true end
  end
  local taken = most - need
  if taken == 0 then
    rest_inbox(p, fp)
    redis.call('HSET', options, 'waiting', 0)
  else
    redis.call('HSET', p .. 'chunk:' .. id, 'state', 'waiting', 'fp', fp, 'members', members_of(chunk.members),
      'created', now, 'due', now, 'expected', now, 'story', story_of('formed', now, id .. '|' .. taken))
    if begin then redis.call('HSET', p .. 'chunk:' .. id, 'state', 'settling', 'why', begin, 'most', size) end
    stamp_chunk(p, id, chunk.members, chunk.outdated and begin ~= 'ids', h, size)
    if chunk.express then redis.call('HSET', p .. 'chunk:' .. id, 'express', 1) end
    if chunk.traces[1] then redis.call('HSET', p .. 'chunk:' .. id, 'trace', table.concat(chunk.traces, ';')) end
    redis.call('SADD', p .. (begin == 'ids' and 'jobs' or 'unsent'), id) -- converted leads are never sent
    redis.call('ZADD', p .. 'due', now + tonumber(ARGV[7]), id)
    formed[#formed + 1] = id
    local of = {}
    for i, segment in ipairs(chunk.members) do of[i] = segment[1] .. '=' .. #segment[2] end
    batches[#batches + 1] = table.concat(of, ';')
    redis.call('HINCRBY', options, 'waiting', -taken)
    redis.call('HSET', options, 'formed', now)
    if chunk.canary then
      redis.call('HSET', p .. 'chunk:' .. id, 'canary', 1)
      end_canary(chunk.canary)
    end
    local o = redis.call('HMGET', options, 'accepted', 'flush', 'waiting')
    if not o[1] then
      -- Options that Zoho has never accepted go out one chunk at a time until the first acceptance.
      redis.call('HSET', options, 'probing', id)
      rest_inbox(p, fp)
    elseif tonumber(o[3]) <= 0 then
      rest_inbox(p, fp)
      redis.call('HDEL', options, 'flush')
    elseif tonumber(o[3]) >= size or o[2] then
      wake_inbox(p, fp, now + 0.000001 * turn)
    else
      wake_inbox(p, fp, now + tonumber(ARGV[5]))
    end
  end
end
local first = redis.call('ZRANGE', p .. 'inboxes', 0, 0, 'WITHSCORES')
local soon = ''
if first[2] then soon = tostring(math.max(0, tonumber(first[2]) - now)) end
return { formed, batches, soon, full, drains }
