-- include: _full
-- include: _holds
-- Lets a batch go on that a person held, or that waits after its canary. One held in its canary is behind that again.
-- KEYS[1] prefix
-- ARGV[1] batch id, [2] now
-- Returns {1 if a hold has ended, ids of the chunks to send now}; safe to repeat.
return release_batch(KEYS[1], ARGV[1], time_of(ARGV[2]))
