-- include: _full
-- Takes a lock, if nobody holds it.
-- KEYS[1] lock (string)
-- ARGV[1] our name on it, [2] milliseconds after which it ends by itself
-- Returns 1 when it is ours.
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
