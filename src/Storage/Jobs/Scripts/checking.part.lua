-- checking, map, few_jobs, counted_bytes, check_tokens, check_ledger (part, after jobbytes and ledger): checking(max)
-- returns check(), which records a violation in words, the recorded violations (at most max), and a function that
-- returns their number. map() returns a hash as a table.
local function checking(max)
  local wrong, reports = 0, {}
  local function check(holds, ...)
    if holds then return end
    wrong = wrong + 1
    if #reports < max then reports[#reports + 1] = table.concat({ ... }, ' ') end
  end
  return check, reports, function() return wrong end
end

local function map(key)
  local flat, all = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do all[flat[i]] = flat[i + 1] end
  return all
end

-- Checks that fields which few jobs have belong to existing jobs, and that only queued jobs have watchers.
local function few_jobs(check, newest, jobs, queued, hashes)
  for name, few in pairs(hashes) do
    for _, field in ipairs(redis.call('HLEN', few) <= newest and redis.call('HKEYS', few) or {}) do
      local id, waits = string.match(field, '^[^|]*'), name == 'watchers'
      check(redis.call('HEXISTS', jobs, id) == 1 and (not waits or queued[id]), name, 'knows a job that',
        waits and 'does not wait:' or 'is gone:', id)
    end
  end
end

-- Checks that the counted bytes are the bytes that jobs occupy: tally() adds a job, compare() runs after all jobs have
-- been added.
local function counted_bytes(check, bytes, blobs, streams)
  local occupied = {}
  local function tally(id, text, result, status)
    if not text then return end
    local flow, n = flow_of(text), job_bytes(blobs, id, text, result, redis.call('HGET', streams, id))
    occupied[flow], occupied[ALL_JOBS] = (occupied[flow] or 0) + n, (occupied[ALL_JOBS] or 0) + n
    local needed = status ~= 'COMPLETED' and status ~= 'CANCELLED' and has_large_input(text)
    check(not needed or redis.call('HEXISTS', blobs, id .. '|in') == 1, status, 'without its input:', id)
  end
  local function compare()
    local counted = map(bytes)
    for flow, n in pairs(counted) do
      check(tonumber(n) == (occupied[flow] or 0), 'flow', flow, 'counts', n, 'bytes, has', occupied[flow] or 0)
    end
    for flow, n in pairs(occupied) do check(counted[flow], 'flow', flow, 'counts no bytes, has', n) end
  end
  return tally, compare
end

-- Checks that tokens in flight belong to held slots of workers that limit them, and that their sums are right.
local function check_tokens(check, counted, k)
  local sums = {}
  for field, n in pairs(counted) do
    local holder, pod = string.match(field, '^([^|]+)|(.+)$')
    if holder then
      sums[pod] = (sums[pod] or 0) + tonumber(n)
      check(redis.call('ZSCORE', k.leases, holder), 'tokens in flight without a lease:', field)
      check(k.held[field], 'tokens in flight without a slot:', field, n)
      check(k.limits[pod] and tonumber(n) > 0, 'tokens in flight at a worker without a limit:', field, n)
    end
  end
  for pod, n in pairs(sums) do
    check(tonumber(counted[pod] or 0) == n, 'tokens of', pod, ':', counted[pod] or 0, 'counted, has', n)
  end
  for field, n in pairs(counted) do
    check(sums[field] or string.match(field, '|'), 'tokens of', field, ':', n, 'counted, has 0')
  end
  for pod in pairs(k.limits) do
    check(redis.call('HEXISTS', k.capacity, pod) == 1, 'a worker that is gone limits tokens:', pod)
  end
end

-- Checks that the ended jobs in the ledger are those in the counters. A ledger with more fields is not read: the script
-- would occupy Redis for long.
local MOST_FIELDS = 100000

local function check_ledger(check, ledger, counters)
  local names, ended, fields = redis.call('ZRANGE', ledger, 0, -1), {}, 0
  for _, name in ipairs(names) do fields = fields + redis.call('HLEN', ledger .. ':' .. name) end
  if #names == 0 or fields > MOST_FIELDS then return end
  for _, name in ipairs(names) do
    for field, n in pairs(map(ledger .. ':' .. name)) do
      local quantity = string.match(field, '[^|]*$')
      check(tonumber(n) >= 0, 'the ledger has less than nothing:', name, field, n)
      ended[quantity] = (ended[quantity] or 0) + tonumber(n)
    end
  end
  local base = map(ledger .. ':base')
  for _, status in ipairs(ENDED) do
    local counted = (counters[status] or 0) + (base[status] or 0)
    check(counted == (ended[status] or 0), status, 'jobs:', counted, 'counted,', ended[status] or 0, 'in the ledger')
  end
end
