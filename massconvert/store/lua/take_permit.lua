-- Takes a permit to call Zoho, if the gate is open and there is room.
-- KEYS[1] prefix
-- ARGV[1] permit id, [2] "post" for a mass convert POST, else "any", [3] now, [4] lease seconds, [5] how many calls may
-- run at once, 0: as learnt from Zoho, [6] how many of them may be POSTs
-- Returns {"taken"}, {"shut", seconds until the gate opens, why}, {"full", which list to wait on, seconds until the first
-- lease ends}, or {"unknown"} (the limit has not been learnt).
local p, now = KEYS[1], tonumber(ARGV[3])
local gate = redis.call('HMGET', p .. 'gate', 'until', 'why')
if gate[1] and tonumber(gate[1]) > now then return { 'shut', tostring(tonumber(gate[1]) - now), gate[2] } end
local limit = tonumber(ARGV[5])
if limit == 0 then limit = tonumber(redis.call('HGET', p .. 'limit', 'calls') or '0') end
if limit == 0 then return { 'unknown' } end
local all, posts = p .. 'permits', p .. 'permits:post'
redis.call('ZREMRANGEBYSCORE', all, '-inf', ARGV[3]) -- dead holders' permits return by themselves
redis.call('ZREMRANGEBYSCORE', posts, '-inf', ARGV[3])

local function full(set, list)
  -- Nobody can go on now, so who waits here needs no earlier wake-up: only a permit given back from now on counts.
  redis.call('DEL', p .. 'permits:wake:' .. list)
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  return { 'full', list, tostring(first[2] and tonumber(first[2]) - now or 1) }
end

if redis.call('ZCARD', all) >= limit then return full(all, 'any') end
if ARGV[2] == 'post' and redis.call('ZCARD', posts) >= math.min(limit, tonumber(ARGV[6])) then return full(posts, 'post') end
local till = now + tonumber(ARGV[4])
redis.call('ZADD', all, till, ARGV[1])
if ARGV[2] == 'post' then redis.call('ZADD', posts, till, ARGV[1]) end
return { 'taken' }
