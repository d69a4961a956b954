-- include: _full
-- Keeps how many calls the organisation's edition allows at once.
-- KEYS[1] limit (hash)
-- ARGV[1] calls, [2] where that is from, [3] seconds for which it is kept
-- Returns nothing.
redis.call('HSET', KEYS[1], 'calls', ARGV[1], 'source', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
