-- include: _time
-- Takes a call about a finished batch that is due, for one caller.
-- KEYS[1] prefix
-- ARGV[1] now, [2] seconds for which it is taken, [3] how many calls may run at once
-- Returns {call id, number of its target, batch id, fields and values of the batch...}, or {} when there is none to make.
local p, now = KEYS[1], time_of(ARGV[1])
local till = now + tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', p .. 'callbacks:busy', '-inf', now) -- a caller that died gives its place back by itself
if redis.call('ZCARD', p .. 'callbacks:busy') >= tonumber(ARGV[3]) then return {} end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'callbacks', '-inf', now, 'LIMIT', 0, 100)) do
  local number, batch = string.match(id, '^(%d+):(.*)$')
  local key = p .. 'batch:' .. batch
  if redis.call('HEXISTS', key, 'finished') == 0 or tonumber(redis.call('HGET', key, 'targets') or 0) < tonumber(number) then
    redis.call('ZREM', p .. 'callbacks', id) -- opened again: it is due again when it has finished again; or it has expired
  else
    redis.call('ZADD', p .. 'callbacks', till, id)
    redis.call('ZADD', p .. 'callbacks:busy', till, id)
    local answer = redis.call('HGETALL', key)
    table.insert(answer, 1, batch)
    table.insert(answer, 1, number)
    table.insert(answer, 1, id)
    return answer
  end
end
return {}
