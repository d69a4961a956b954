-- include: _full
-- Writes down whose ledger this is, once; later it only remembers the processes of the same owner.
-- KEYS[1] title (hash)
-- ARGV[1] owner (a digest), [2] kind ("organisation", or "client" where nobody could tell the organisation), [3] name,
-- [4] place, [5] digest of the credentials, [6] digest of the client, [7] time zone, as the organisation says
-- Returns 1 when it is theirs, else 0.
local t = redis.call('HMGET', KEYS[1], 'owner', 'kind')
local same = not t[1] or t[1] == ARGV[1] or (t[2] == 'client' and t[1] == ARGV[6])
  or (ARGV[2] == 'client' and redis.call('HEXISTS', KEYS[1], 'client:' .. ARGV[1]) == 1)
if not same then return 0 end
if not t[1] or ARGV[2] == 'organisation' then
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'kind', ARGV[2], 'name', ARGV[3], 'place', ARGV[4],
    'zone', ARGV[7])
end
redis.call('HSET', KEYS[1], 'known:' .. ARGV[5], 1, 'client:' .. ARGV[6], 1)
return 1
