-- include: _full
-- include: _endings
-- include: _lease
-- Writes one decision about a claimed run. Compare-and-set on the token of the claim.
-- KEYS[1] prefix
-- ARGV[1] run id, [2] token, [3] now, [4] JSON of the fields to set, a blank one is deleted,
-- [5] 1: the next bounded run of the profile begins at [6], "" for the beginning, [7] sweep grace seconds,
-- [8] longest countdown of a message, [9] retention seconds, [10] 1: the kept leads are in the batch now, [11] 1: Zoho
-- has accepted the credentials, [12...] lead ids to keep
-- Returns 1, or 0 when the claim is no longer ours.
local p, id, now = KEYS[1], ARGV[1], time_of(ARGV[3])
local key = p .. 'run:' .. id
local r = redis.call('HMGET', key, 'state', 'token', 'profile')
if r[1] ~= 'finding' or r[2] ~= ARGV[2] then return 0 end
local fields = cjson.decode(ARGV[4])
for name, value in pairs(fields) do
  if value == '' then redis.call('HDEL', key, name) else redis.call('HSET', key, name, value) end
end
redis.call('HDEL', key, 'lease', 'token')
if ARGV[10] == '1' then redis.call('DEL', key .. ':found') end
if ARGV[11] == '1' then end_refusal(p) end
for i = 12, #ARGV do redis.call('RPUSH', key .. ':found', ARGV[i]) end
if fields.state == 'finding' then
  expect(p .. 'runs:due', id, key, tonumber(fields.due), now, tonumber(ARGV[8]), tonumber(ARGV[7]))
  return 1
end
if fields.state == 'failed' then judge_run(p, id, true) end
redis.call('ZREM', p .. 'runs:due', id)
redis.call('EXPIRE', key, ARGV[9])
local profile = p .. 'profile:' .. r[3]
if redis.call('HGET', profile, 'open') == id then redis.call('HDEL', profile, 'open') end
if ARGV[5] == '1' then
  if ARGV[6] == '' then redis.call('HDEL', profile, 'start') else redis.call('HSET', profile, 'start', ARGV[6]) end
end
return 1
