-- job-check: check whether jobs, tickets, leases, slots and counters of an endpoint agree, at one moment.
-- KEYS    leases  sorted set holder -> lease expiry (Unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · capacity  hash pod -> slots ·
--         queue  sorted set ticket entry -> start tag · meta  hash queued ·
--         running  hash running job -> its run (see jobstate) · flows  hash flow -> queued jobs ·
--         index  list of jobs in the order of submission · late  sorted set job -> submitted ·
--         expiry  sorted set "ended|job,job.." -> when their data is deleted ·
--         outbox  sorted set delivery -> next attempt · hooks  prefix of delivery hashes ·
--         jobs  hash job -> its submission · retries  hash job that was queued again -> its previous attempts ·
--         watchers  hash queued job -> gateways to notify · results  hash ended job -> its result ·
--         streams  hash job -> "bytes|read" of its stream · blobs  hash "job|in", "job|out" -> large values ·
--         busy  hash holder -> "requests|slots in use that belong to no job of the holder", the latter only if there
--         are any · bytes  hash flow -> bytes (see jobbytes) ·
--         token_capacity  hash pod -> how many tokens it can hold · tokens  hash tokens in flight (see room) ·
--         ledger  sorted set of the hashes of usage, and their prefix (see ledger)
-- ARGV    max  violations to report ·
--         newest  how many of the ended jobs are checked; all queued and running jobs are checked ·
--         late_ms  how long a job may exceed its executionTimeout
-- RETURN  {jobs checked, violations, [violation, ..], jobs known}
-- The script reads everything in one step, about 3 us per job: for operators and tests, not for monitoring.
local leases, held, free, capacity, queue, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local running, flows, index, late, expiry, outbox = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local hooks, jobs, retries, watchers, results, streams = KEYS[13], KEYS[14], KEYS[15], KEYS[16], KEYS[17], KEYS[18]
local blobs, busy, bytes, token_capacity, tokens = KEYS[19], KEYS[20], KEYS[21], KEYS[22], KEYS[23]
local ledger = KEYS[24]
local max, newest, late_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- include: jobstate
-- include: jobbytes
-- include: ledger
-- include: checking
local now = redis.call('TIME')[1] * 1000
local check, reports, wrong = checking(max)
local tally, compare = counted_bytes(check, bytes, blobs, streams)

-- Returns the submission, the status as far as it and the result determine it, when the job ended, and the result.
local function stored(id)
  local text, result = redis.call('HGET', jobs, id), redis.call('HGET', results, id)
  local status, ended = string.match(result or '', '^([^|]+)[^\n]*\n(%d+)')
  return text, status or text and 'open' or 'gone', ended, result
end

local of_pod, slots, jobs_at, queued, count, at_work, in_queue = {}, map(held), {}, {}, {}, map(running), 0
for field, n in pairs(slots) do
  local holder, pod = string.match(field, '^([^|]+)|(.+)$')
  check(redis.call('ZSCORE', leases, holder), 'slots held without a lease:', field)
  of_pod[pod] = (of_pod[pod] or 0) + tonumber(n)
end
check_tokens(check, map(tokens), { leases = leases, held = slots, capacity = capacity,
  limits = map(token_capacity) })
for holder, report in pairs(map(busy)) do
  check(not string.match(report, '|'), 'slots in use by no job:', holder, string.match(report, '[^|]*$'))
end
for pod, n in pairs(map(capacity)) do
  local open = redis.call('ZSCORE', free, pod)
  check(not open or tonumber(open) + (of_pod[pod] or 0) == tonumber(n), 'slots of', pod, ':', open or 'draining',
    'free +',
    of_pod[pod] or 0, 'held, capacity', n)
end
for _, entry in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
  local owner, id, flow = string.match(entry, '^%d+|([^|]+)|([^|]+)|%d+|%d+|(.*)$')
  if owner == 'job' then
    in_queue = in_queue + 1
    count[flow] = (count[flow] or 0) + 1
    queued[id] = true
    local text, status = stored(id)
    check(text and ticket(id, text, redis.call('HGET', retries, id)) == entry,
      'ticket in the queue that its job does not know:', entry)
    check(status == 'open' and not at_work[id], 'queued, but', at_work[id] and 'running' or status, ':', id)
  end
end
local counted = tonumber(redis.call('HGET', meta, 'queued') or 0)
check(in_queue == counted, 'tickets:', in_queue, 'in the queue,', counted, 'counted')
for flow, n in pairs(map(flows)) do
  check((count[flow] or 0) == tonumber(n), 'flow', flow, 'counts', n, 'has', count[flow] or 0)
end
for id, value in pairs(at_work) do
  local holder, fence, pod, started = string.match(value, RUN)
  local text, status = stored(id)
  local timeout = text and select(5, string.match(string.match(text, HEAD) or '', SPEC))
  check(pod == '' or not timeout or now - started <= timeout + late_ms,
    'runs for longer than its executionTimeout:', id, value)
  local before = string.match(past(redis.call('HGET', retries, id)), '^%d+')
  check(status == 'open' and before + 1 == tonumber(toattempt(fence)),
    'running as', value, 'but', status, 'after', before, ':', id)
  check(redis.call('ZSCORE', leases, holder), 'running without a lease:', id, value)
  if pod ~= '' then jobs_at[holder .. '|' .. pod] = (jobs_at[holder .. '|' .. pod] or 0) + 1 end
end
for field, n in pairs(jobs_at) do
  check(redis.call('HEXISTS', capacity, string.match(field, '|(.+)$')) == 0 or tonumber(slots[field] or 0) >= n,
    'more jobs than slots at', field, ':', n)
end
local expiring, counts_all = {}, redis.call('HLEN', results) <= newest
for _, group in ipairs(counts_all and redis.call('ZRANGE', expiry, 0, -1) or {}) do
  local at, ids = string.match(group, '^(%d+)|(.*)$')
  for id in string.gmatch(ids, '[^,]+') do expiring[id .. at] = true end
end
local all = redis.call('LRANGE', index, -newest, -1)
for _, id in ipairs(redis.call('ZRANGE', late, 0, newest - 1)) do all[#all + 1] = id end
for _, id in ipairs(all) do
  local text, status, at, result = stored(id)
  tally(id, text, result, status)
  local place = queued[id] and 'queued' or at_work[id] and 'running' or 'ended'
  local ended = status ~= 'open'
  check(ended == (place == 'ended'), 'status', status, 'but', place, ':', id)
  check(not at or not counts_all or expiring[id .. at], 'ended, but its data never goes:', id)
end
local known = redis.call('HLEN', results) + in_queue + redis.call('HLEN', running)
local n, listed = redis.call('HLEN', jobs), redis.call('LLEN', index)
check(n == known and listed == known, 'jobs:', n, 'stored,', listed, 'listed,', known, 'known')
if #all == n then compare() end
few_jobs(check, newest, jobs, queued, { retries = retries, watchers = watchers, streams = streams, blobs = blobs })
for _, delivery in ipairs(redis.call('ZRANGE', outbox, 0, newest - 1)) do
  check(redis.call('EXISTS', hooks .. delivery) == 1, 'outbox entry without its delivery:', delivery)
end
check_ledger(check, ledger, map(meta))
return { #all, wrong(), reports, known }
