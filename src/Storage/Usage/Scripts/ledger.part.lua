-- ledger (part): counts usage in one hash for each hour. A field is "key|model|GPU|quantity" (see UsageQuantity).
-- ledger: the sorted set of the hashes of an endpoint (name -> begin of the period, Unix ms), and the prefix of their
-- names: ledger .. ':h498000', counted from 1970. ledger .. ':base' is a hash: status -> the number by which the ledger
-- counts more ended jobs than meta, because jobs ended before the ledger began, or the endpoint was deleted.
-- add() collects, keep() writes. keep() runs before the call changes the counters of jobs in meta.
local ENDED = { 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT' }
local HOUR_MS = 3600000

local function counting_usage(ledger, meta, now)
  local sums = {}
  local function add(field, n)
    if n ~= 0 then sums[field] = (sums[field] or 0) + n end
  end
  local function start(name, hour)
    if redis.call('EXISTS', ledger) == 0 then
      for i, n in ipairs(redis.call('HMGET', meta, unpack(ENDED))) do
        if n then redis.call('HINCRBY', ledger .. ':base', ENDED[i], string.format('%d', -n)) end
      end
    end
    redis.call('ZADD', ledger, string.format('%d', hour * HOUR_MS), name)
  end
  local function keep()
    if not next(sums) then return end
    local hour, is_new = math.floor(now / HOUR_MS), false
    local name = 'h' .. string.format('%d', hour)
    local hash = ledger .. ':' .. name
    for field, n in pairs(sums) do
      is_new = redis.call('HINCRBY', hash, field, string.format('%d', n)) == n or is_new
    end
    -- A field that was created may be the first one of its hour.
    if is_new then start(name, hour) end
  end
  return { add = add, keep = keep }
end

-- Remembers the counters of jobs before they are deleted: the usage of a deleted endpoint is kept.
local function keep_ended(ledger, meta)
  if redis.call('EXISTS', ledger) == 0 then return end
  for i, n in ipairs(redis.call('HMGET', meta, unpack(ENDED))) do
    if n then redis.call('HINCRBY', ledger .. ':base', ENDED[i], n) end
  end
end
