-- include: _time
-- include: _counts
-- Writes what became of a call. One about a batch that has been opened or has finished again since changes nothing: then
-- another call is due, with the new counts.
-- KEYS[1] prefix
-- ARGV[1] call id, [2] when the batch had finished, as taken, [3] now, [4] why it failed, or "", [5] seconds until it is tried again, or ""
-- Returns 1 when it was written.
local p, id, now = KEYS[1], ARGV[1], time_of(ARGV[3])
local number, batch = string.match(id, '^(%d+):(.*)$')
local key = p .. 'batch:' .. batch
redis.call('ZREM', p .. 'callbacks:busy', id)
if redis.call('HGET', key, 'finished') ~= ARGV[2] then return 0 end
if not redis.call('ZSCORE', p .. 'callbacks', id) then return 0 end -- made by another, after our lease had ended
count_at(p, now)
count(p, 'told|' .. (ARGV[4] == '' and 'done' or ARGV[5] == '' and 'given_up' or 'failed'), 1)
if ARGV[4] == '' then
  redis.call('HSET', key, 'called:' .. number, now)
  redis.call('HDEL', key, 'call_tries:' .. number, 'call_error:' .. number)
  redis.call('ZREM', p .. 'callbacks', id)
else
  redis.call('HINCRBY', key, 'call_tries:' .. number, 1)
  redis.call('HSET', key, 'call_error:' .. number, ARGV[4])
  if ARGV[5] == '' then
    redis.call('ZREM', p .. 'callbacks', id)
  else
    redis.call('ZADD', p .. 'callbacks', now + tonumber(ARGV[5]), id)
  end
end
return 1
