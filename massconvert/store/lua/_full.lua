-- What follows works on a full Redis too. Redis asks whether it is full at the first write of a script alone, and only
-- where that write may take memory (docs/decisions/0025); this one never does, and there is nothing to delete.
redis.call('DEL', KEYS[1] .. 'full')
