-- Shared by the scripts that form, move and end: the story of a chunk, in its field `story`. Leads that end take it along,
-- behind the outcome of the first of them: it needs no key of its own, and goes with its batch. ledger/stories.py reads it.
-- `begin;event|at|again|detail;...`: begin in Unix seconds, the others in seconds since; `again` is "times,last" where an
-- event came several times. What is blank at an entry's end is left out.

-- An event that one of the last two entries has, is counted there: looks, and waits, come in turn. In a story of that many
-- entries, one that any has: it stays short however long a payload is tried.
local NEIGHBOURS, LONG_STORY = 2, 24
local BEGINS_CHUNK = { formed = true, split_off = true, set_apart = true } -- it says which chunk tells from there on

local function story_entry(event, at, again, detail)
  return (string.gsub(table.concat({ event, at, again, detail or '' }, '|'), '|+$', ''))
end

local function story_of(event, now, detail)
  return string.format('%.1f;', now) .. story_entry(event, '0', '', detail)
end

-- `story` with one more event; nil: of a chunk that an older version has made.
local function story_with(story, event, now, detail)
  local begin = tonumber(string.match(story or '', '^([^;]*);') or nil)
  if not begin then return story_of(event, now, detail) end
  local at, again, entries = string.format('%.10g', math.floor((now - begin) * 10 + 0.5) / 10), '', {}
  for entry in string.gmatch(story, '[^;]+') do entries[#entries + 1] = entry end
  local first = #entries > LONG_STORY and 2 or math.max(2, #entries - NEIGHBOURS + 1)
  for place = BEGINS_CHUNK[event] and 1 or #entries, first, -1 do
    local name, began, before = string.match(entries[place], '^([^|]*)|([^|]*)|?([^|]*)')
    if name == event then
      again = string.format('%d,%s', (tonumber(string.match(before, '^%d+') or nil) or 1) + 1, at)
      at = began
      table.remove(entries, place)
      break
    end
  end
  entries[#entries + 1] = story_entry(event, at, again, detail)
  return table.concat(entries, ';')
end

-- An outcome with the story of those who end so, and of those of the next outcomes, that many in all. Older versions, which do
-- not know of stories, read it as it was.
local function with_story(outcome, story, outcomes)
  local o = cjson.decode(outcome)
  for i = #o + 1, 8 do o[i] = i == 5 and 0 or '' end -- as in ledger/codec.py
  o[9] = story
  if outcomes > 1 then o[10] = outcomes end
  return cjson.encode(o)
end
