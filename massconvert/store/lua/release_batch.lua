-- include: _holds
-- Lets a held batch go on, whoever held it.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] now
-- Returns {1 if it was held, ids of the chunks that shall be sent now}; safe to repeat.
local held = redis.call('HEXISTS', KEYS[1] .. 'batch:' .. ARGV[1], 'held')
return { held, release_batch(KEYS[1], ARGV[1], tonumber(ARGV[2])) }
