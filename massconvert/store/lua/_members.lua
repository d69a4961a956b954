-- The open leads of a chunk, as they stand in its field `members`: "batch=lead,lead;batch=lead", in payload order.

-- Its parts: a list of {batch, leads with commas between}. Plain searches take a tenth of the time of patterns.
local function parts_of(members)
  local parts, place = {}, 1
  while place <= #members do
    local stop = string.find(members, ';', place, true) or #members + 1
    local mark = string.find(members, '=', place, true)
    if mark and mark < stop then
      parts[#parts + 1] = { string.sub(members, place, mark - 1), string.sub(members, mark + 1, stop - 1) }
    end
    place = stop + 1
  end
  return parts
end

local function members_of(segments)
  local parts = {}
  for i, segment in ipairs(segments) do parts[i] = segment[1] .. '=' .. table.concat(segment[2], ',') end
  return table.concat(parts, ';')
end

-- The same as a list of {batch, list of leads}. An error where that is not all that stands there: a lead that nobody has
-- enqueued is not sent.
local function segments_of(members)
  local segments, whole = {}, members ~= ''
  for i, part in ipairs(parts_of(members)) do
    local leads = {}
    for lead in string.gmatch(part[2], '%d+') do leads[#leads + 1] = lead end
    segments[i] = { part[1], leads }
    whole = whole and #leads > 0 and string.find(part[1], '^[^,%s]+$')
  end
  if not whole or members_of(segments) ~= members then error('no members of a chunk: ' .. members) end
  return segments
end
