-- include: _full
-- include: _endings
-- include: _members
-- include: _lease
-- Hands a chunk out to one worker, if it is due and nobody holds it.
-- KEYS[1] prefix
-- ARGV[1] chunk id, [2] token, [3] now, [4] lease seconds, [5] states that may be claimed, comma-separated,
-- [6] seconds between the probes of a paused organisation, [7] longest countdown of a message, [8] sweep grace seconds
-- Returns {"claimed", fields and values..., } or {"gone"}, {"other"}, {"unknown"} (it is in no state), {"paused"} (the
-- organisation, or all its batches), or why_not it is handed out.
local p, id, now = KEYS[1], ARGV[1], time_of(ARGV[3])
local key, queue = p .. 'chunk:' .. id, p .. 'due'
local c = redis.call('HMGET', key, 'state', 'due', 'expected', 'lease', 'fp', 'parked', 'members', 'why', 'history', 'created', 'behind', 'link')
if not c[1] or c[1] == 'done' then return { 'gone' } end
if not string.find(',waiting,sending,running,settling,updating,', ',' .. c[1] .. ',', 1, true) then return { 'unknown' } end
if not string.find(',' .. ARGV[5] .. ',', ',' .. c[1] .. ',', 1, true) then return { 'other' } end
if c[6] then return { 'paused' } end
local why = why_not(queue, id, key, { c[2], c[3], c[4] }, now, tonumber(ARGV[7]), tonumber(ARGV[8]))
if why then return why end
local freed -- one of the claims that its leads wait behind has ended, or is theirs since a visit that came to nothing
for digest in string.gmatch(c[11] or '', '[^,]+') do
  local holder = holder_of(p, digest)
  freed = freed or ((not holder or string.find(c[7] .. ',', '[=,]' .. holder .. '[,;]')) and '1')
end
if is_at_rest(p, now) then return { 'paused' } end
if c[11] and not freed and redis.call('EXISTS', p .. 'pause') == 1 then return { 'paused' } end -- it would call nobody, and is no probe
lease_to(p, queue, id, key, ARGV[2], now, tonumber(ARGV[4]), tonumber(ARGV[6]))
local options = redis.call('HMGET', p .. 'options:' .. c[5], 'json', 'accepted', 'refusal', 'refused_at', 'resolved')
local answer = redis.call('HGETALL', key)
table.insert(answer, 1, 'claimed')
local values, some, since = {}, false, {}
local parts = parts_of(c[7] or '')
for _, part in ipairs(parts) do
  -- What was converted before its batch was made is not ours: a payload of several is as old as the oldest of them.
  if c[1] == 'settling' and #parts > 1 then
    since[#since + 1] = redis.call('HGET', p .. 'batch:' .. part[1], 'created') or '0'
  end
  local deals = p .. 'batch:' .. part[1] .. ':deals'
  if redis.call('EXISTS', deals) == 1 then
    local ids = {}
    for lead in string.gmatch(part[2], '[^,]+') do ids[#ids + 1] = lead end
    for place, value in ipairs(#ids > 0 and redis.call('HMGET', deals, unpack(ids)) or {}) do
      values[ids[place]] = value or nil
      some = some or value ~= false
    end
  end
end
local h = history_of(p, now)
local outdated = is_chunk_outdated(h, c[1], c[8], c[9], c[10])
local fared = redis.call('HMGET', p .. 'fared', c[12] and 'linked' or 'answered', 'converted')
local trial = redis.call('HMGET', p .. 'on_trial', 'root', 'at')
local about = { claimed_at = exactly(now), answered = fared[1], converted = fared[2], trial = trial[1], trial_at = trial[2], options_json = options[1], accepted = options[2], refusal = options[3], refused_at = options[4],
  resolved = options[5], history_now = outdated and h.id or nil, broken_at = outdated and exactly(h.since) or nil,
  since = since[1] and table.concat(since, ','), freed = freed or nil, deal_values = some and cjson.encode(values) or nil }
for name, value in pairs(about) do
  if value then
    answer[#answer + 1] = name
    answer[#answer + 1] = value
  end
end
return answer
