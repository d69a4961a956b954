-- What follows takes memory, and a full Redis refuses it here, before anything has been written: an empty SETRANGE is a
-- write for which Redis asks whether it is full, and changes nothing.
redis.call('SETRANGE', KEYS[1] .. 'room', 0, '')
