-- include: _full
-- Ends a refresh of the access token for the whole fleet: keeps the token, or why there is none; frees the lock if it is
-- still ours; wakes the waiters.
-- KEYS[1] token (hash), [2] lock (string), [3] trouble (string), [4] wake (list), [5] grants (list)
-- ARGV[1] our name on the lock, [2] milliseconds that the token, or the trouble, lives, [3] the trouble as JSON,
-- empty where there is a token: then [4] value, [5] API domain, [6] refresh at, [7] expires at, [8] now,
-- [9] how many grants to remember, [10] milliseconds that they are remembered
-- Returns nothing.
if ARGV[3] == '' then
  redis.call('HSET', KEYS[1], 'value', ARGV[4], 'api_domain', ARGV[5], 'refresh_at', ARGV[6], 'expires_at', ARGV[7])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('DEL', KEYS[3])
  redis.call('LPUSH', KEYS[5], ARGV[8])
  redis.call('LTRIM', KEYS[5], 0, tonumber(ARGV[9]) - 1)
  redis.call('PEXPIRE', KEYS[5], ARGV[10])
else
  redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[2])
end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
redis.call('DEL', KEYS[4])
redis.call('RPUSH', KEYS[4], '1')
redis.call('PEXPIRE', KEYS[4], 10000)
