#!lua flags=no-writes
-- payload-references: read one page of the references to payload files in a hash of jobs.
-- KEYS    jobs  hash job -> text whose last line may be a reference "@name" (jobs, results: see jobstate)
-- ARGV    cursor  of the page; "0" for the first page · count  the approximate number of jobs to read
-- RETURN  {cursor of the next page or "0", ["@name", ..]}
local jobs = KEYS[1]
local cursor, count = ARGV[1], ARGV[2]

local page, found = redis.call('HSCAN', jobs, cursor, 'COUNT', count), {}
for i = 2, #page[2], 2 do
  local name = string.match(string.sub(page[2][i], -34), '^\n(@%x+)$')
  if name and #name == 33 then found[#found + 1] = name end
end
return { page[1], found }
