-- include: _room
-- include: _time
-- Begins a run of a profile: a slot's once, however many beats ask for it.
-- KEYS[1] prefix
-- ARGV[1] run id, [2] profile, [3] slot, "" for a run by hand, [4] now, [5] JSON of what it is to do,
-- [6] 1: it begins where the profile's last bounded run stopped, [7] seconds after which the sweep looks for its message,
-- [8] how many failed runs in a row stop the schedule, 0: none do
-- Returns {"begun"}, {"known"} (that run was begun before), {"past"} (that slot, or a later one, had its turn),
-- {"stopped"} (the schedule is stopped until somebody resumes it), or
-- {"busy", run id} (the run of an earlier slot still finds leads; this slot has had its turn).
local p, id, slot, now = KEYS[1], ARGV[1], ARGV[3], time_of(ARGV[4])
local key, profile = p .. 'run:' .. id, p .. 'profile:' .. ARGV[2]
if redis.call('EXISTS', key) == 1 then return { 'known' } end
local known = redis.call('HMGET', profile, 'slot', 'open', 'start', 'failures')
if slot ~= '' then
  if known[1] and known[1] >= slot then return { 'past' } end
  redis.call('HSET', profile, 'slot', slot)
  if ARGV[8] ~= '0' and tonumber(known[4] or 0) >= tonumber(ARGV[8]) then return { 'stopped' } end
  if known[2] and redis.call('HGET', p .. 'run:' .. known[2], 'state') == 'finding' then return { 'busy', known[2] } end
  redis.call('HSET', profile, 'open', id)
end
redis.call('HSET', profile, 'last', id)
redis.call('HSET', key, 'profile', ARGV[2], 'slot', slot, 'state', 'finding', 'job', ARGV[5], 'began', now, 'due', now,
  'expected', now)
if ARGV[6] == '1' and known[3] then redis.call('HSET', key, 'start', known[3], 'after', known[3]) end
redis.call('ZADD', p .. 'runs:due', now + tonumber(ARGV[7]), id)
return { 'begun' }
