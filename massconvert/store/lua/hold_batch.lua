-- include: _full
-- include: _holds
-- Holds a batch: what of it has not been sent waits until somebody releases it.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] why, [3] who, [4] now
-- Returns {1, or 0 when nothing of it is left to hold (it has finished, or its inbox is being drained), replicas that must
-- have it}; safe to repeat.
if redis.call('EXISTS', KEYS[1] .. 'batch:' .. ARGV[1]) == 0 then return redis.error_reply('UNKNOWN_BATCH ' .. ARGV[1]) end
local now = time_of(ARGV[4])
return { hold_batch(KEYS[1], ARGV[1], ARGV[2], ARGV[3], now), history_of(KEYS[1], now).replicas }
