-- include: _full
-- Puts the element back that wakes those who wait for the access token.
-- KEYS[1] wake (list)
-- ARGV[1] milliseconds that it lives
-- Returns nothing.
redis.call('RPUSH', KEYS[1], '1')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
