-- include: _full
-- Notes that a member of the fleet is there.
-- KEYS[1] fleet (hash)
-- ARGV[1] member, [2] its note as JSON, [3] seconds for which the fleet is remembered
-- Returns nothing.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
