-- include: _time
-- Counts the calls about finished batches that are due.
-- KEYS[1] prefix
-- ARGV[1] now
-- Returns how many they are.
return redis.call('ZCOUNT', KEYS[1] .. 'callbacks', '-inf', time_of(ARGV[1]))
