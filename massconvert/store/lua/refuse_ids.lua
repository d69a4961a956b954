-- include: _room
-- include: _endings
-- Records ids of a batch that are not ids: each ends at once.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] now, then pairs: what was given, outcome JSON
-- Returns how many were new.
local p, batch = KEYS[1], ARGV[1]
local key = p .. 'batch:' .. batch
local sealed = redis.call('HGET', key, 'sealed')
if not sealed then return redis.error_reply('UNKNOWN_BATCH ' .. batch) end
local new, now = 0, time_of(ARGV[2])
count_at(p, now)
for i = 3, #ARGV, 2 do
  if redis.call('HSET', key .. ':invalid', ARGV[i], ARGV[i + 1]) == 1 then
    new = new + 1
    tell_ends(p, batch, ARGV[i + 1], { ARGV[i] })
  end
end
if new > 0 then
  if sealed == '1' then reopen_batch(p, batch, now) end -- it may have finished, since somebody cancelled it meanwhile
  redis.call('HINCRBY', key, 'total', new)
  count(p, 'enqueued|', new)
  redis.call('HINCRBY', key, 'failed', new)
end
return new
