-- job-check: whether jobs, tickets, leases, slots and counters of an endpoint agree, at one moment.
-- KEYS    leases  sorted set holder -> lease expiry (unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · capacity  hash pod -> slots ·
--         queue  sorted set ticket entry -> start tag · meta  hash queued ·
--         running  hash running job -> its run (see jobstate) · flows  hash flow -> queued jobs ·
--         index  list of jobs as they came · late  sorted set job -> submitted · expiry  sorted set ended job -> when its data goes ·
--         outbox  sorted set delivery -> next try · jobs  prefix of job hashes · hooks  prefix of delivery hashes
-- ARGV    max  violations to name · newest  so many of the jobs that are known are looked at; all that wait or run are
-- RETURN  {jobs looked at, violations, [violation, ..], jobs known}
-- It reads all that in one step, about 3 us a job: for operators and tests, not for monitoring.
local leases, held, free, capacity = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local queue, meta, running, flows = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local index, late, expiry = KEYS[9], KEYS[10], KEYS[11]
local outbox, jobs, hooks = KEYS[12], KEYS[13], KEYS[14]
local max, newest = tonumber(ARGV[1]), tonumber(ARGV[2])
-- include: jobstate
local wrong, told = 0, {}

local function check(holds, ...)
  if holds then return end
  wrong = wrong + 1
  if #told < max then told[#told + 1] = table.concat({ ... }, ' ') end
end

local function map(key)
  local flat, all = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do all[flat[i]] = flat[i + 1] end
  return all
end

-- The job's spec, and its status as far as its hash tells it.
local function stored(id)
  local was = redis.call('HMGET', jobs .. id, 'spec', 'waits', 'past', 'end', 'expired')
  return was, was[4] and string.match(was[4], '^[^|]+') or was[1] and 'open' or 'gone'
end

local of_pod, slots, jobs_at, queued, count, at_work = {}, map(held), {}, {}, {}, map(running)
for field, n in pairs(slots) do
  local holder, pod = string.match(field, '^([^|]+)|(.+)$')
  check(redis.call('ZSCORE', leases, holder), 'slots held without a lease:', field)
  of_pod[pod] = (of_pod[pod] or 0) + tonumber(n)
end
for pod, n in pairs(map(capacity)) do
  local open = redis.call('ZSCORE', free, pod)
  check(not open or tonumber(open) + (of_pod[pod] or 0) == tonumber(n), 'slots of', pod, ':', open or 'draining', 'free +',
    of_pod[pod] or 0, 'held, capacity', n)
end
local in_queue = 0
for _, entry in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
  local owner, id, flow = string.match(entry, '^%d+|([^|]+)|([^|]+)|%d+|%d+|(.*)$')
  if owner == 'job' then
    in_queue = in_queue + 1
    count[flow] = (count[flow] or 0) + 1
    queued[id] = true
    local was, status = stored(id)
    check(was[2] and ticket(id, was[2], was[1]) == entry, 'ticket in the queue that its job does not know:', entry)
    check(status == 'open' and not at_work[id], 'queued, but', at_work[id] and 'running' or status, ':', id)
  end
end
local counted = tonumber(redis.call('HGET', meta, 'queued') or 0)
check(in_queue == counted, 'tickets:', in_queue, 'in the queue,', counted, 'counted')
for flow, n in pairs(map(flows)) do check((count[flow] or 0) == tonumber(n), 'flow', flow, 'counts', n, 'has', count[flow] or 0) end
for id, value in pairs(at_work) do
  local holder, attempt, pod = string.match(value, RUN)
  local was, status = stored(id)
  local past = string.match(was[3] or NO_PAST, PAST)
  check(status == 'open' and past + 1 == tonumber(attempt), 'running as', value, 'but', status, 'after', past, ':', id)
  check(redis.call('ZSCORE', leases, holder), 'running without a lease:', id, value)
  if pod ~= '' then jobs_at[holder .. '|' .. pod] = (jobs_at[holder .. '|' .. pod] or 0) + 1 end
end
for field, n in pairs(jobs_at) do
  local pod = string.match(field, '|(.+)$')
  check(redis.call('HEXISTS', capacity, pod) == 0 or tonumber(slots[field] or 0) >= n, 'more jobs than slots at', field, ':', n)
end
local all = redis.call('LRANGE', index, -newest, -1)
for _, id in ipairs(redis.call('ZRANGE', late, 0, newest - 1)) do all[#all + 1] = id end
for _, id in ipairs(all) do
  local was, status = stored(id)
  local place = queued[id] and 'queued' or at_work[id] and 'running' or 'ended'
  local ended = status ~= 'open'
  local kept = ended and was[1] and not was[5]
  check(ended == (place == 'ended'), 'status', status, 'but', place, ':', id)
  check((kept or false) == (redis.call('ZSCORE', expiry, id) and true or false), 'expiry and status', status, 'disagree:', id)
end
for _, delivery in ipairs(redis.call('ZRANGE', outbox, 0, newest - 1)) do
  check(redis.call('EXISTS', hooks .. delivery) == 1, 'outbox entry without its delivery:', delivery)
end
return { #all, wrong, told, redis.call('ZCARD', expiry) + in_queue + redis.call('HLEN', running) }
