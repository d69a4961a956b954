-- include: _full
-- include: _holds
-- Lets a held batch go on; one that a person held in its canary is behind that canary again.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] now
-- Returns {1 if it was held, ids of the chunks that shall be sent now}; safe to repeat.
local person, canary = holds_of(KEYS[1], ARGV[1])
return { (person or canary) and 1 or 0, release_batch(KEYS[1], ARGV[1], time_of(ARGV[2])) }
