-- include: _full
-- include: _endings
-- Claims what the conversions of leads may make, as digests, so that no two of them make the same. A claim stands for as long
-- as its lead is in flight; one that is left over is nobody's.
-- KEYS[1] prefix
-- ARGV[1] now, [2] JSON list of [lead, digests, comma-separated], in the order in which they are claimed
-- Returns a flat list of what was not to be had: lead, digest, the lead that has it.
local p, taken = KEYS[1], {}
for _, row in ipairs(cjson.decode(ARGV[2])) do
  local lead, own = row[1], {}
  free_identities(p, lead)
  for digest in string.gmatch(row[2], '[^,]+') do
    local holder = holder_of(p, digest)
    if holder and holder ~= lead then
      for _, value in ipairs({ lead, digest, holder }) do taken[#taken + 1] = value end
    else
      own[#own + 1] = digest
    end
  end
  make_identities(p, lead, table.concat(own, ','))
end
return taken
