-- Writes ahead of the POST: whoever finds the chunk SENDING with a lapsed lease treats the answer as lost.
-- KEYS[1] prefix
-- ARGV[1] chunk id, [2] token, [3] now, [4] lease seconds
-- Returns 1, or 0 when the claim is no longer ours (then nothing may be sent); parking a chunk takes the claim away.
local p, key, now = KEYS[1], KEYS[1] .. 'chunk:' .. ARGV[1], tonumber(ARGV[3])
local c = redis.call('HMGET', key, 'state', 'token', 'lease')
if c[1] ~= 'waiting' or c[2] ~= ARGV[2] or tonumber(c[3] or 0) <= now then return 0 end
local till = now + tonumber(ARGV[4])
redis.call('HSET', key, 'state', 'sending', 'sent_at', ARGV[3], 'lease', till)
redis.call('ZADD', p .. 'due', till, ARGV[1])
return 1
