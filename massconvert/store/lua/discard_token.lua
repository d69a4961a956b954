-- Forgets the access token, but only if it is still the one that failed.
-- KEYS[1] token (hash)
-- ARGV[1] the value that failed
-- Returns 1 when it was forgotten.
if redis.call('HGET', KEYS[1], 'value') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
