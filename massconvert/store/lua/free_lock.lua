-- Frees a lock, but only if it is still ours.
-- KEYS[1] lock (string)
-- ARGV[1] our name on it
-- Returns 1 when it was freed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
