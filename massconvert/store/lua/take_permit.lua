-- include: _wake
-- include: _counts
-- Takes a permit to call Zoho, if nothing holds all calls back and there is room.
-- KEYS[1] prefix
-- ARGV[1] permit id, the same each time its caller asks, [2] "express" for a mass convert POST with interactive leads,
-- "post" for another or another heavy call, else "poll", [3] now, [4] lease seconds, [5] how many calls may run at once, 0:
-- as the edition says, [6] how many of them may be POSTs, [7] which share of them may be others while a POST waits,
-- [8] calls a minute, 0: any, [9] seconds for which a probe is left to cheaper calls than a POST, [10] seconds within
-- which a waiter asks again
-- [11] 1: not while a person has paused the organisation
-- Returns {"taken", calls that run now, the limit, learnt calls, event, ceiling, at, row, kind of the hold whose probe
-- this is or "", its tries, now}, {"shut", seconds until somebody may call, why}, {"full", which lists to wait on, comma-separated,
-- seconds until the first lease ends}, or {"unknown"} (nobody has asked for the edition yet).
local p, express, now = KEYS[1], ARGV[2] == 'express', time_of(ARGV[3])
local post = express or ARGV[2] == 'post'

-- We write numbers only: anything else holds nothing back.
local function number(text, otherwise) return tonumber(text or otherwise) or otherwise end

if ARGV[11] == '1' and redis.call('EXISTS', p .. 'pause') == 1 and redis.call('HEXISTS', p .. 'pause', 'probe') == 0 then
  return { 'shut', '2', 'a person has paused the organisation' }
end

local gate = redis.call('HMGET', p .. 'gate', 'until', 'why')
local shut = number(gate[1], 0) - now
if shut > 0 then return { 'shut', tostring(shut), gate[2] or '' } end

local hold = redis.call('HMGET', p .. 'hold', 'kind', 'why', 'probe', 'wait', 'tries')
local kind = HOLDS[hold[1]] and hold[1] or ''
if kind ~= '' then
  local left, why = number(hold[3], 0) - now, hold[2] or ''
  -- While a probe is out, the end of its lease is far; but its answer may come at any time.
  if left > 0 then return { 'shut', tostring(math.min(left, number(hold[4], left))), why } end
  local turn = left + tonumber(ARGV[9])
  if post and turn > 0 and redis.call('EXISTS', p .. 'jobs') == 1 then return { 'shut', tostring(turn), why } end
end

local limit = tonumber(ARGV[5])
if limit == 0 then limit = number(redis.call('HGET', p .. 'limit', 'calls'), 0) end
if limit < 1 then return { 'unknown' } end
local learnt = redis.call('HMGET', p .. 'limit:learnt', 'calls', 'event', 'ceiling', 'at', 'row')
local most = math.max(1, math.min(limit, number(learnt[1], limit)))
local all, posts, wanted, first = p .. 'permits', p .. 'permits:post', p .. 'permits:wanted', p .. 'permits:express'
for _, waiting in ipairs({ posts, wanted, first }) do redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now) end
-- Dead holders' permits return by themselves, and nobody knows what was answered to their calls.
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', all, '-inf', now)) do
  count_at(p, now)
  count_call(p, dead, 'unknown')
  redis.call('ZREM', all, dead)
end

-- A waiter asks again within seconds; the mark lasts little longer, so no permit idles for long for one that has gone.
local function mark(waiting)
  redis.call('ZADD', waiting, string.format('%.6f', now + tonumber(ARGV[10]) + 0.3), ARGV[1])
  redis.call('PEXPIRE', waiting, 60000)
end

local function full(set, list)
  local lists = list
  count_at(p, now)
  count(p, 'full|', 1)
  if express then
    mark(first)
    lists = 'express,' .. list
    redis.call('DEL', p .. 'permits:wake:express')
  end
  -- Nobody can go on now, so a waiter needs no earlier wake-up: only a permit given back from now on counts.
  redis.call('DEL', p .. 'permits:wake:' .. list)
  -- But a waiter for any permit may go on, if this call was woken in its stead.
  if list ~= 'any' then push(p, 'any') end
  local earliest = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  return { 'full', lists, tostring(earliest[2] and tonumber(earliest[2]) - now or 1) }
end

local running, posting = redis.call('ZCARD', all), redis.call('ZCARD', posts)
if running >= most then
  if post then mark(wanted) end
  return full(all, 'any')
end
if post and posting >= tonumber(ARGV[6]) then return full(posts, 'post') end
if not post and running > posting and redis.call('EXISTS', wanted) == 1 then
  -- The last payloads of all go before the looks at their jobs: what is left then are looks alone, and they fill all permits.
  local last = redis.call('ZCOUNT', p .. 'inboxes', '-inf', now) == 0
  local share = last and 1 or math.max(1, math.floor(most * tonumber(ARGV[7])))
  if running - posting >= share then return full(all, 'poll') end
end

local rate = tonumber(ARGV[8])
if rate > 0 then
  -- The generic cell rate algorithm: calls a second apart on average, of which as many may come at once as a second
  -- has; no minute has more than `rate`.
  local burst = math.max(1, math.floor(rate / 60))
  local apart = 60 / (burst > 1 and rate - burst or rate)
  local busy_till = math.max(now, number(redis.call('GET', p .. 'rate'), 0))
  local wait = busy_till - now - (burst - 1) * apart
  if wait > 0.000001 then return { 'shut', tostring(wait), 'MASSCONVERT_CALLS_PER_MINUTE allows ' .. ARGV[8] } end
  redis.call('SET', p .. 'rate', string.format('%.6f', busy_till + apart), 'PX', math.ceil((busy_till + apart - now) * 1000) + 1000)
end

local till = now + tonumber(ARGV[4])
redis.call('ZADD', all, till, ARGV[1])
if post then
  redis.call('ZADD', posts, till, ARGV[1])
  redis.call('ZREM', first, ARGV[1])
  -- The last one that looks stood back for: the calls that are free now are theirs, and none that ends would tell them.
  if redis.call('ZREM', wanted, ARGV[1]) == 1 and redis.call('EXISTS', wanted) == 0 then
    for _ = running + 2, most do push(p, 'poll') end
  end
end
if kind ~= '' then redis.call('HSET', p .. 'hold', 'probe', string.format('%.6f', till), 'by', ARGV[1]) end
return { 'taken', running + 1, limit, most, number(learnt[2], 0), number(learnt[3], 0),
  string.format('%.6f', number(learnt[4], 0)), number(learnt[5], 0), kind, number(hold[5], 0), exactly(now) }
