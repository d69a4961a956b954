-- Forms chunks from the inboxes that are ready, each inbox in its turn, while the window has room.
-- KEYS[1] prefix
-- ARGV[1] now, [2] window (chunks waiting to be sent), [3] most jobs, [4] leads a payload, [5] linger seconds,
-- [6] most chunks to form now, [7] seconds after which the sweep shall look for the messages of these chunks
-- Returns {ids of the chunks formed, seconds until the next inbox is ready or "", 1 if the window is full}
local p, now, window, most_jobs = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local size = tonumber(ARGV[4])
local lower = tonumber(redis.call('GET', p .. 'max_leads') or size) or size -- what is no number is none of ours
if lower >= 1 then size = math.min(size, math.floor(lower)) end
local formed, full = {}, 0
for turn = 1, tonumber(ARGV[6]) do
  if redis.call('SCARD', p .. 'unsent') >= window or redis.call('SCARD', p .. 'jobs') >= most_jobs then
    full = 1
    break
  end
  local fp = redis.call('ZRANGEBYSCORE', p .. 'inboxes', '-inf', now + 0.001, 'LIMIT', 0, 1)[1]
  if not fp then break end
  local queue, options = p .. 'queue:' .. fp, p .. 'options:' .. fp
  local id = string.format('%d', redis.call('INCR', p .. 'chunks'))
  local need, members = size, {}
  while need > 0 do
    local batch = redis.call('LINDEX', queue, 0)
    if not batch then break end
    local inbox = p .. 'batch:' .. batch .. ':inbox'
    local leads = redis.call('LPOP', inbox, need)
    if leads and #leads > 0 then
      need = need - #leads
      members[#members + 1] = batch .. '=' .. table.concat(leads, ',')
      redis.call('RPUSH', p .. 'batch:' .. batch .. ':chunks', id)
    end
    if redis.call('LLEN', inbox) == 0 then
      redis.call('LPOP', queue)
    else
      redis.call('LMOVE', queue, queue, 'LEFT', 'RIGHT')
    end
  end
  local taken = size - need
  if taken == 0 then
    redis.call('ZREM', p .. 'inboxes', fp)
    redis.call('HSET', options, 'waiting', 0)
  else
    redis.call('HSET', p .. 'chunk:' .. id, 'state', 'waiting', 'fp', fp, 'members', table.concat(members, ';'),
      'created', now, 'due', now, 'expected', now)
    redis.call('SADD', p .. 'unsent', id)
    redis.call('ZADD', p .. 'due', now + tonumber(ARGV[7]), id)
    formed[#formed + 1] = id
    local waiting = redis.call('HINCRBY', options, 'waiting', -taken)
    if redis.call('HEXISTS', options, 'accepted') == 0 then
      -- Options that Zoho has never accepted go out one chunk at a time until the first acceptance.
      redis.call('HSET', options, 'probing', id)
      redis.call('ZREM', p .. 'inboxes', fp)
    elseif waiting <= 0 then
      redis.call('ZREM', p .. 'inboxes', fp)
      redis.call('HDEL', options, 'flush')
    elseif waiting >= size or redis.call('HEXISTS', options, 'flush') == 1 then
      redis.call('ZADD', p .. 'inboxes', now + 0.000001 * turn, fp)
    else
      redis.call('ZADD', p .. 'inboxes', now + tonumber(ARGV[5]), fp)
    end
  end
end
local first = redis.call('ZRANGE', p .. 'inboxes', 0, 0, 'WITHSCORES')
local soon = ''
if first[2] then soon = tostring(math.max(0, tonumber(first[2]) - now)) end
return { formed, soon, full }
