-- include: _wake
-- include: _counts
-- Gives a permit back, writes what its answer changes for all callers, and wakes one waiter.
-- KEYS[1] prefix
-- ARGV[1] permit id, [2] now, [3] the report as JSON (policy/calls.py): heard, answer, when the permit was taken, and where
-- there is one gate {seconds, why},
-- learnt {calls, event, ceiling, at, row, calls and event as they were when the permit was taken, "" for any calls},
-- hold {kind, why, wait, tries}, credits; [4] unusable answers in a row that make a hold
-- Returns {1 when the permit was still ours, 0 when its lease had ended, now, and words for the log: what has begun or ended}
local p, id, now = KEYS[1], ARGV[1], time_of(ARGV[2])
local report = cjson.decode(ARGV[3])
local answered = report.heard == 'usable' or report.heard == 'throttled'
local news = {}

local ours = redis.call('ZREM', p .. 'permits', id)
local post = redis.call('ZREM', p .. 'permits:post', id)
count_at(p, now)
if ours == 1 then count_call(p, id, report.answer or 'unknown', report.answer ~= 'none' and report.at and now - report.at) end

-- The gate: one that is closed for longer already stays so.
if report.gate then
  local key, till = p .. 'gate', now + report.gate[1]
  if till > (tonumber(redis.call('HGET', key, 'until') or 0) or 0) then
    redis.call('HSET', key, 'until', string.format('%.6f', till), 'why', report.gate[2])
    redis.call('PEXPIRE', key, math.ceil(report.gate[1] * 1000) + 60000) -- `until` decides; this only tidies up
  end
end

-- The learnt limit: compare and set, so that one event lowers it once, and one number is raised once.
if report.learnt then
  local key, calls, event, ceiling, at, row, calls_before, event_before = p .. 'limit:learnt', unpack(report.learnt)
  local known = redis.call('HMGET', key, 'calls', 'event')
  local same_event = (tonumber(known[2] or 0) or 0) == event_before -- ignore what is not a number: we never write it
  if same_event and (calls_before == '' or tonumber(known[1] or '') == calls_before) then
    redis.call('HSET', key, 'calls', calls, 'event', event, 'ceiling', ceiling, 'at', at, 'row', row)
    redis.call('EXPIRE', key, 3600)
    if event > event_before then news[1] = 'lowered' end
    if calls > (tonumber(known[1] or '') or calls) then wake(p, { 'any' }) end
  end
end

-- The hold: it begins, goes on, or ends.
local key = p .. 'hold'
local hold = redis.call('HMGET', key, 'kind', 'by', 'since')
if not HOLDS[hold[1]] then hold = {} end
local probe = hold[2] == id

-- The credits: calls that were under way when the last ones went are answered in any order, and only a probe asks again.
local fewest = tonumber(redis.call('HGET', p .. 'credits', 'left') or '')
if report.credits and not (hold[1] == 'credits' and not probe and fewest and fewest < report.credits) then
  redis.call('HSET', p .. 'credits', 'left', report.credits, 'at', now)
  redis.call('EXPIRE', p .. 'credits', 3600)
end

local function begin(h)
  if hold[1] ~= h[1] then news[#news + 1] = h[1] end
  local since = hold[1] == h[1] and hold[3] or now
  redis.call('HDEL', key, 'by')
  redis.call('HSET', key, 'kind', h[1], 'why', h[2], 'wait', h[3], 'tries', h[4], 'since', since,
    'probe', string.format('%.6f', now + h[3]))
  redis.call('DEL', p .. 'unusable')
end
if answered then redis.call('DEL', p .. 'unusable') end
if report.hold and (report.hold[1] ~= 'outage' or probe) then
  begin(report.hold)
elseif report.hold and not hold[1] then
  local row = (tonumber(redis.call('GET', p .. 'unusable') or 0) or 0) + 1
  redis.call('SET', p .. 'unusable', row, 'EX', 3600)
  if row >= tonumber(ARGV[4]) then begin(report.hold) end
elseif answered and (probe or hold[1] == 'outage') then
  redis.call('DEL', key)
  news[#news + 1] = 'free'
elseif probe and report.heard == '' then -- the probe was not used
  redis.call('HDEL', key, 'by')
  redis.call('HSET', key, 'probe', now)
end

if post == 1 then
  wake(p, { 'any', 'post' })
elseif ours == 1 then
  wake(p, { 'any' })
end
-- Those who stand back for POSTs: a look that ends makes room for another, and so does any call once no POST waits.
if post == 0 or redis.call('EXISTS', p .. 'permits:wanted') == 0 then push(p, 'poll') end
return { ours, exactly(now), unpack(news) }
