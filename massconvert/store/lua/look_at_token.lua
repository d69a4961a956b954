-- include: _time
-- Looks at the access token, and at what went wrong with it lately.
-- KEYS[1] token (hash), [2] trouble (string)
-- ARGV[1] now
-- Returns {value or "", API domain or "", seconds until it is to be refreshed, seconds until it ends, the trouble as JSON
-- or "", seconds until a refresh may be tried again after it, now}
local now = time_of(ARGV[1])
local token = redis.call('HMGET', KEYS[1], 'value', 'api_domain', 'refresh_at', 'expires_at')
local trouble = redis.call('GET', KEYS[2])
return { token[1] or '', token[2] or '', tostring((tonumber(token[3] or '') or now) - now), tostring((tonumber(token[4] or '') or now) - now), trouble or '',
  tostring(math.max(0, redis.call('PTTL', KEYS[2])) / 1000), exactly(now) }
