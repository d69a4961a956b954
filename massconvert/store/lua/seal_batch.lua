-- include: _full
-- include: _endings
-- Says that the enqueue which made a batch has ended: its tail need not wait for company when it was a bulk.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] now, [3] 1: flush the tail, [4] retention seconds, [5] only if idle since (or "")
-- Returns {1 if the batch ended now, seconds until a chunk can be formed or "", the history that Redis writes now ("gone" where
-- it has no such batch), how many leads it was given or "", replicas that must have it}
local p, batch, now = KEYS[1], ARGV[1], time_of(ARGV[2])
local key = p .. 'batch:' .. batch
local fp = redis.call('HGET', key, 'fp')
if not fp then
  redis.call('ZREM', p .. 'unsealed', batch)
  return { 0, '', 'gone', '', '' }
end
if ARGV[5] ~= '' then
  local last = redis.call('ZSCORE', p .. 'unsealed', batch)
  if not last or tonumber(last) > tonumber(ARGV[5]) then return { 0, '', '', '', '' } end
end
redis.call('HSET', key, 'sealed', 1)
redis.call('ZREM', p .. 'unsealed', batch)
local nudge = ''
local options = p .. 'options:' .. fp
local ready = redis.call('ZSCORE', p .. 'inboxes', fp)
if ARGV[3] == '1' and redis.call('LLEN', key .. ':inbox') > 0 and ready then
  redis.call('HSET', options, 'flush', 1)
  if tonumber(ready) > now then wake_inbox(p, fp, now) end
  nudge = '0'
end
local h = history_of(p, now)
return { finish_batch(p, batch, now, ARGV[4]), nudge, h.id, redis.call('HGET', key, 'total'), h.replicas }
