-- Letters: messages that could not be taken, or were refused, kept whole for a person.
-- Forget one; return its message, or false where there is none.
local function drop_letter(p, id)
  local key = p .. 'letter:' .. id
  local kind, message = unpack(redis.call('HMGET', key, 'kind', 'message'))
  if not kind then return false end
  redis.call('ZREM', p .. 'letters:' .. kind, id)
  redis.call('HINCRBY', p .. 'letters:bytes', kind, -#message)
  redis.call('DEL', key)
  return message
end
