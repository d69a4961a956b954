-- Shared by all scripts to which time matters. They ask Redis' own clock, at the moment at which they run: a process that
-- froze, or waited for Redis, brings no time of its own along.

-- Unix seconds. `handed` is "", or the time of a test or a simulation (store/scripts.py).
local function time_of(handed)
  if handed ~= '' then return tonumber(handed) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- A number as text with all its digits: tostring leaves some out.
local function exactly(number) return string.format('%.17g', number) end
