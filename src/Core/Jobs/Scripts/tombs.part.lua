-- tombs (part): what is left of jobs whose data went. They lie packed in two hashes, of which the older one goes when the newer one is full or old:
-- neither their age nor their number grows without end. bury() packs the first two lines of what was asked, those of the result, what follows these
-- but for the value itself, and the first line of what is in again; buried() gives back the first, the result, and the last, or nil.
local function bury(head, last, left, back) return head .. last .. left .. '\n' .. (back or '') end

local function buried(gone, gone_before, id)
  local packed = redis.call('HGET', gone, id) or redis.call('HGET', gone_before, id)
  if packed then return string.match(packed, '^([^\n]*\n[^\n]*\n)([^\n]*\n[^\n]*\n[^\n]*\n[^\n]*)\n(.*)$') end
end
