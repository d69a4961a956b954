-- include: _full
-- include: _history
-- A person stops all calls to Zoho. It has no probe, and no answer ends or replaces it; what Zoho had said stands beside it.
-- KEYS[1] prefix
-- ARGV[1] now, [2] reason, [3] who
-- Returns {1, or 0 when a person has stopped them already, replicas that must have it}.
local key, now = KEYS[1] .. 'pause', time_of(ARGV[1])
local replicas = history_of(KEYS[1], now).replicas
local c = redis.call('HMGET', key, 'probe', 'code', 'reason', 'hint')
if not c[1] and redis.call('EXISTS', key) == 1 then return { 0, replicas } end
redis.call('DEL', key)
redis.call('HSET', key, 'code', '', 'reason', ARGV[2], 'person', ARGV[3], 'since', now)
if c[1] then redis.call('HSET', key, 'also_code', c[2] or '', 'also_reason', c[3] or '', 'also_hint', c[4] or '') end
return { 1, replicas }
