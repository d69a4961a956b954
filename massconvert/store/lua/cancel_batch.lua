-- include: _batches
-- Cancels what of a batch has not been sent: its inbox is drained later in slices, its leads in chunks that wait and
-- that nobody holds end now. What was submitted, or is being sent at this moment, is followed to its outcome.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] now, [3] JSON [kind, outcome JSON], [4] retention seconds
-- Returns {leads that end or will end as cancelled, leads that are followed}; safe to repeat.
local p, batch, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local key = p .. 'batch:' .. batch
local b = redis.call('HMGET', key, 'fp', 'finished', 'drain')
if not b[1] then return redis.error_reply('UNKNOWN_BATCH ' .. batch) end
if b[2] then return { 0, 0 } end
local fate = cjson.decode(ARGV[3])
local waiting = redis.call('LLEN', key .. ':inbox')
if not b[3] then
  redis.call('HSET', key, 'drain', ARGV[3])
  redis.call('LREM', p .. 'queue:' .. b[1], 0, batch)
  if waiting > 0 then redis.call('HINCRBY', p .. 'options:' .. b[1], 'waiting', -waiting) end
end
redis.call('SADD', p .. 'drain', batch)
local ended, followed = 0, 0
for _, id in ipairs(redis.call('LRANGE', key .. ':chunks', 0, -1)) do
  local chunk = p .. 'chunk:' .. id
  local c = redis.call('HMGET', chunk, 'state', 'members', 'open', 'lease', 'submitted', 'fp')
  if c[1] and c[1] ~= 'done' then
    local mine, others = {}, {}
    local own = {}
    for of, leads in string.gmatch(c[2], '([^;=]+)=([^;]*)') do
      for lead in string.gmatch(leads, '[^,]+') do own[lead] = of == batch end
    end
    for lead in string.gmatch(c[3] or string.gsub(string.gsub(c[2], '[^;=]+=', ''), ';', ','), '[^,]+') do
      if own[lead] then mine[#mine + 1] = lead else others[#others + 1] = lead end
    end
    local held = c[4] and tonumber(c[4]) > now
    if c[1] ~= 'waiting' or held or c[5] == '1' then
      followed = followed + #mine
    elseif #mine > 0 then
      for _, lead in ipairs(mine) do
        redis.call('HSET', key .. ':exceptions', lead, fate[2])
        redis.call('SREM', live_key(p, lead), lead)
      end
      redis.call('HINCRBY', key, fate[1], #mine)
      ended = ended + #mine
      if #others > 0 then
        redis.call('HSET', chunk, 'open', table.concat(others, ','))
      else
        redis.call('HSET', chunk, 'state', 'done')
        redis.call('HDEL', chunk, 'open', 'due', 'expected', 'lease', 'token')
        redis.call('ZREM', p .. 'due', id)
        redis.call('SREM', p .. 'unsent', id)
        local options = p .. 'options:' .. c[6]
        if redis.call('HGET', options, 'probing') == id then
          redis.call('HDEL', options, 'probing')
          if tonumber(redis.call('HGET', options, 'waiting') or 0) > 0 then
            redis.call('ZADD', p .. 'inboxes', now, c[6])
          end
        end
      end
    end
  end
end
redis.call('HSET', key, 'sealed', 1)
redis.call('ZREM', p .. 'unsealed', batch)
finish_batch(p, batch, ARGV[2], ARGV[4])
return { ended + waiting, followed }
