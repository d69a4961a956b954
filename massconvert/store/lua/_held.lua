-- Shared by the scripts to which it matters whether a batch was stopped. A segment is {batch, its leads}.

-- Who holds a batch: a person, with their reason, and its canary; nil where they do not.
local function holds_of(p, batch)
  local h = redis.call('HMGET', p .. 'batch:' .. batch, 'held', 'canary_held')
  if h[1] == 'canary' then return nil, true end -- an older version wrote so
  return h[1] or nil, h[2] or nil
end

-- Whether a chunk with these leads may not go. A batch that is held for its canary holds all but the canary.
local function is_held(p, segments, canary)
  for _, segment in ipairs(segments) do
    local person, for_canary = holds_of(p, segment[1])
    if not person and (canary or not for_canary) then return false end
  end
  return true
end

-- Whether one of these batches was cancelled, or its options were refused.
local function is_drained(p, segments)
  for _, segment in ipairs(segments) do
    if redis.call('HEXISTS', p .. 'batch:' .. segment[1], 'drain') == 1 then return true end
  end
  return false
end
