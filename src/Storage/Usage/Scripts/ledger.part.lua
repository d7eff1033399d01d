-- ledger (part): counts usage in one hash for each hour. A field is "key|model|GPU|quantity" (see UsageQuantity).
-- ledger: the sorted set of the hashes of an endpoint (name -> begin of the period, Unix ms), and the prefix of their
-- names: ledger .. ':h498000', counted from 1970. ledger .. ':base' is a hash: status -> the number by which the ledger
-- counts more ended jobs than meta, because jobs ended before the ledger began, or the endpoint was deleted.
-- add() and ended() collect, keep() writes. keep() runs before the call changes the counters of jobs in meta.
local ENDED = { 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT' }
local HOUR_MS = 3600000
-- unpack() has a limit of some thousand values.
local MOST_FIELDS = 1000
-- The order in which a gateway sends what an attempt used.
local USED = { 'in', 'out', 'busy', 'prompt', 'cached', 'generated', 'wasted' }

local function counting_usage(ledger, meta, now)
  local sums, rows = {}, {}
  local function add(field, n)
    if n ~= 0 then sums[field] = (sums[field] or 0) + n end
  end
  -- Counts the end of a job, and what its attempt used ('' or numbers in the order of USED). Most jobs of a call have
  -- the same row, so the names of the fields are built once.
  local function ended(row, status, used)
    local sum = rows[row]
    if not sum then sum = { ends = {}, used = { 0, 0, 0, 0, 0, 0, 0 } }; rows[row] = sum end
    sum.ends[status] = (sum.ends[status] or 0) + 1
    if used == '' then return end
    local all, read, written, busy, tokens = sum.used, string.match(used, '^(%d+),(%d+),(%d+)(.*)$')
    all[1], all[2], all[3] = all[1] + read, all[2] + written, all[3] + busy
    if tokens == '' then return end
    local i = 3
    for n in string.gmatch(tokens, '%d+') do i = i + 1; all[i] = all[i] + n end
  end
  local function start(name, hour)
    if redis.call('EXISTS', ledger) == 0 then
      for i, n in ipairs(redis.call('HMGET', meta, unpack(ENDED))) do
        if n then redis.call('HINCRBY', ledger .. ':base', ENDED[i], string.format('%d', -n)) end
      end
    end
    redis.call('ZADD', ledger, string.format('%d', hour * HOUR_MS), name)
  end
  -- Two commands for any number of fields: most calls change four.
  local function keep()
    for row, sum in pairs(rows) do
      for status, n in pairs(sum.ends) do add(row .. '|' .. status, n) end
      for i, n in ipairs(sum.used) do add(row .. '|' .. USED[i], n) end
    end
    local fields, pairs_of, is_new = {}, {}, false
    for field in pairs(sums) do fields[#fields + 1] = field end
    if #fields == 0 then return end
    local hour = math.floor(now / HOUR_MS)
    local name = 'h' .. string.format('%d', hour)
    local hash = ledger .. ':' .. name
    for from = 1, #fields, MOST_FIELDS do
      local was = redis.call('HMGET', hash, unpack(fields, from, math.min(#fields, from + MOST_FIELDS - 1)))
      for i, count in ipairs(was) do
        local field = fields[from + i - 1]
        is_new = is_new or not count
        pairs_of[2 * i - 1], pairs_of[2 * i] = field, string.format('%d', (count or 0) + sums[field])
      end
      redis.call('HSET', hash, unpack(pairs_of, 1, 2 * #was))
    end
    -- A field that was created may be the first one of its hour.
    if is_new then start(name, hour) end
  end
  return { add = add, ended = ended, keep = keep }
end

-- Remembers the counters of jobs before they are deleted: the usage of a deleted endpoint is kept.
local function keep_ended(ledger, meta)
  if redis.call('EXISTS', ledger) == 0 then return end
  for i, n in ipairs(redis.call('HMGET', meta, unpack(ENDED))) do
    if n then redis.call('HINCRBY', ledger .. ':base', ENDED[i], n) end
  end
end
