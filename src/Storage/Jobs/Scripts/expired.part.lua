-- expired (part): the records of jobs whose data was deleted. They are stored, packed, in two hashes; the older hash is
-- deleted when the newer one is full or old, so neither their age nor their number grows without bound.
-- expired_record() packs the first two lines of the submission, those of the result, the part of the result after them
-- without the value, and the first line of the text in retries. find_expired() returns the first, the result, and the
-- last part, or nil.
local function expired_record(head, last, left, back) return head .. last .. left .. '\n' .. (back or '') end

local function find_expired(expired, expired_before, id)
  local packed = redis.call('HGET', expired, id) or redis.call('HGET', expired_before, id)
  if packed then return string.match(packed, '^([^\n]*\n[^\n]*\n)([^\n]*\n[^\n]*\n[^\n]*\n[^\n]*)\n(.*)$') end
end
