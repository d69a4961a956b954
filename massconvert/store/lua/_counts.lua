-- Shared by the scripts that count what they change, in the step that changes it (docs/decisions/0060).
-- `counts` has each number since the ledger began, and the `quarter` of an hour of the last one; `counts:before` has them
-- as they were when that quarter began. What came in it is written on its day when a later one begins. `ended_at` is when
-- a lead ended last.
local QUARTER, DAYS_KEPT = 900, 400 -- seconds, days
-- More names than Zoho documents; those of a server that invents codes are `other`.
local MOST_NAMES = 400
local NO_NUMBERS = { quarter = true, ended_at = true, names = true }
local counted_at

local function count(p, name, n)
  if n == 0 then return end
  local key = p .. 'counts'
  if redis.call('HINCRBY', key, name, n) == n and redis.call('HINCRBY', key, 'names', 1) > MOST_NAMES then
    redis.call('HINCRBY', key, 'names', -1)
    redis.call('HDEL', key, name)
    redis.call('HINCRBY', key, string.match(name, '^.*|') .. 'other', n)
  end
end

-- A number in base 36: it is short.
local function short(number)
  local text = ''
  repeat
    local digit = number % 36
    text, number = string.char(digit < 10 and 48 + digit or 87 + digit) .. text, math.floor(number / 36)
  until number == 0
  return text
end

-- The short name of a number in a day's text: capital letters, by the order in which they came.
local function letters_of(p, name)
  local key = p .. 'counts:letters'
  local letters = redis.call('HGET', key, name)
  if letters then return letters end
  local left = redis.call('HINCRBY', key, 'next', 1) - 1
  letters = ''
  repeat
    letters, left = string.char(65 + left % 26) .. letters, math.floor(left / 26) - 1
  until left < 0
  redis.call('HSET', key, name, letters)
  return letters
end

-- Writes what came in a quarter on its day: "12:A14B1ja;13:A7;", the quarter of the day, then each number that grew; and
-- "*38o" with the credits that were left at the end. The table's rows are not kept by the day.
local function keep_quarter(p, quarter)
  local now, before = redis.call('HGETALL', p .. 'counts'), {}
  local flat = redis.call('HGETALL', p .. 'counts:before')
  for i = 1, #flat, 2 do before[flat[i]] = tonumber(flat[i + 1]) end
  local grown = {}
  for i = 1, #now, 2 do
    local name, value = now[i], tonumber(now[i + 1])
    local more = value - (before[name] or 0)
    if not NO_NUMBERS[name] and string.sub(name, 1, 4) ~= 'row|' and more > 0 then
      grown[#grown + 1] = letters_of(p, name) .. short(more)
      redis.call('HSET', p .. 'counts:before', name, string.format('%d', value))
    end
  end
  if #grown == 0 then return end
  local left = redis.call('HGET', p .. 'credits', 'left')
  if left then grown[#grown + 1] = '*' .. short(math.max(0, math.floor(tonumber(left) or 0))) end
  local key = p .. 'days:' .. string.format('%d', math.floor(quarter * QUARTER / 86400))
  local text = (redis.call('GET', key) or '') .. string.format('%d', quarter % (86400 / QUARTER)) .. ':' .. table.concat(grown) .. ';'
  redis.call('SET', key, text, 'EX', DAYS_KEPT * 86400)
end

-- Says when what is counted next is counted. A clock that was put back counts in the quarter that it was.
local function count_at(p, now)
  local key, quarter = p .. 'counts', math.floor(now / QUARTER)
  counted_at = now
  local last = tonumber(redis.call('HGET', key, 'quarter') or nil)
  if last and quarter <= last then return end
  if last then keep_quarter(p, last) end
  redis.call('HSET', key, 'quarter', string.format('%d', quarter))
end

-- Counts leads that have ended: their outcome is a JSON list, with the kind and the code in front.
local function count_ends(p, outcome, n)
  local o = cjson.decode(outcome)
  count(p, 'lead|' .. o[1] .. '|' .. (o[2] or ''), n)
  redis.call('HSET', p .. 'counts', 'ended_at', string.format('%.3f', counted_at))
end

local function count_time(p, name, seconds) count(p, name, math.max(0, math.floor(1000 * seconds + 0.5))) end

-- Counts one decision about a payload; `row` is that of the decision table.
local function count_move(p, now, row, fields, created, job_took)
  count_at(p, now)
  if row then count(p, 'row|' .. row, 1) end
  if fields.state == 'done' then
    count(p, 'payload|n', 1)
    count_time(p, 'payload|ms', now - (tonumber(created) or now))
  end
  if job_took then
    count(p, 'job|n', 1)
    count_time(p, 'job|ms', tonumber(job_took))
  end
end

-- Counts the end of a permit, whose id begins with the kind of its call: what was answered, and after how long, where it
-- is known when it was taken.
local function count_call(p, permit, answer, seconds)
  local kind = string.match(permit, '^(%l+):') or 'other'
  count(p, 'call|' .. kind .. '|' .. answer, 1)
  if seconds then count_time(p, 'time|' .. kind, seconds) end
end
