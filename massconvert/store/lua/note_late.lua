-- include: _time
-- Note that a message could not be taken, and comes back.
-- KEYS[1] prefix; ARGV: id, now, why, most notes, seconds that they are kept after the last
-- Returns how many times in a row that has been noted of it, for that reason.
local key, id, now = KEYS[1] .. 'letters:late', ARGV[1], string.format('%.3f', time_of(ARGV[2]))
local old = redis.call('HGET', key, id)
-- Notes of messages that the broker has lost stay; those of the others are written again within a minute.
if not old and redis.call('HLEN', key) >= tonumber(ARGV[4]) then redis.call('DEL', key) end
local since, times, why = (old or ''):match('^([^ ]+) [^ ]+ (%d+) (.*)$')
times = why == ARGV[3] and times + 1 or 1
redis.call('HSET', key, id, table.concat({ since or now, now, times, ARGV[3] }, ' '))
redis.call('EXPIRE', key, ARGV[5])
return times
