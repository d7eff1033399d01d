-- tombs (part): the records of jobs whose data was deleted. They are stored, packed, in two hashes; the older hash is
-- deleted when the newer one is full or old, so neither their age nor their number grows without bound.
-- bury() packs the first two lines of the submission, those of the result, the part of the result after them without
-- the value, and the first line of the text in again. buried() returns the first, the result, and the last part, or
-- nil.
local function bury(head, last, left, back) return head .. last .. left .. '\n' .. (back or '') end

local function buried(gone, gone_before, id)
  local packed = redis.call('HGET', gone, id) or redis.call('HGET', gone_before, id)
  if packed then return string.match(packed, '^([^\n]*\n[^\n]*\n)([^\n]*\n[^\n]*\n[^\n]*\n[^\n]*)\n(.*)$') end
end
