#!lua flags=allow-oom
-- renew: renew the lease of a holder, and reconcile its slots in Redis with the holder's report.
-- KEYS    leases  sorted set holder -> lease expiry (Unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         meta  hash seq, vtime, completed, served · grants  hash ticket entry -> "holder|pod|Unix ms" ·
--         busy  hash holder -> highest number of concurrent requests since its last report, or "requests|leaked slots"
--         · running  hash running job -> its run (see jobstate) · capacity  hash pod -> slots ·
--         retries  hash job that was queued again -> its previous attempts · jobs  hash job -> its submission ·
--         token_capacity  hash pod -> how many tokens it can hold · tokens  hash tokens in flight (see room)
-- ARGV    holder · lease_ms · busy_now · completed  requests that ended since the last report ·
--         slot_count  triples that follow · accept_count  accepted grants after them ·
--         job_count  running jobs after those · served_ms  slot time in use since the last report ·
--         token  for the fences of claims in the result, random ·
--         rest...  (pod, count, tokens) each, then accepted entries, then "job|fence" that the holder runs, then
--         entries that the holder believes are queued
-- RETURN  {'lost'}, or {'ok', depth, [entry, pod, ..] grants not accepted yet, [pod, ..] held but not ready, [entry,
--         ..] believed queued but neither queued nor granted, [job, attempt, pod, why, tokens, ..] claimed but
--         not run, ["job|fence", ..] run but ended or claimed by another holder (a stop message was lost), holders
--         with a lease}
-- Slots that Redis counts in addition to the holder's report, its unaccepted grants and its unknown claims belong to an
-- answer that was lost: they become free. So an exchange with an unknown outcome needs no other repair.
-- Claims that the holder does not know get a new fence: Redis may have lost their end, and then their old fence has
-- been used.
local leases, held, free, queue = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, grants, busy, running, capacity, retries = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local jobs, token_capacity, tokens = KEYS[11], KEYS[12], KEYS[13]
local holder, lease_ms, busy_now, completed = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local slot_count, accept_count, job_count = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local served_ms, token, rest = tonumber(ARGV[8]), ARGV[9], 10
-- include: isolated
-- include: jobstate
-- include: room

if not redis.call('ZSCORE', leases, holder) then return { 'lost' } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local accepts = rest + 3 * slot_count
local working = accepts + accept_count
local believed = working + job_count

for i = accepts, working - 1 do redis.call('HDEL', grants, ARGV[i]) end
local own, open, idle, missing, known, orphans, ended, fences = {}, {}, {}, {}, {}, {}, {}, {}
for i = working, believed - 1 do known[ARGV[i]] = true end
local flight = {}
local function spend(pod, n) flight[pod] = (flight[pod] or 0) + n end
for i = rest, accepts - 1, 3 do
  own[ARGV[i]] = tonumber(ARGV[i + 1])
  spend(ARGV[i], tonumber(ARGV[i + 2]))
end
local all = redis.call('HGETALL', grants)
for i = 1, #all, 2 do
  local owner, pod = string.match(all[i + 1], '^([^|]+)|([^|]+)|')
  if owner == holder then
    open[#open + 1] = all[i]; open[#open + 1] = pod
    own[pod] = (own[pod] or 0) + slots_of(all[i], capacity, pod)
    spend(pod, charge(redis.call('HGET', token_capacity, pod), tokens_of(all[i])))
  end
end

local at_work = redis.call('HGETALL', running)
for i = 1, #at_work, 2 do
  local owner, fence, pod, tail = string.match(at_work[i + 1], '^([^|]+)|([^|]+)|([^|]*)|(.*)$')
  local key = at_work[i] .. '|' .. fence
  if known[key] then known[key] = 'runs'
  elseif owner == holder then
    local attempt, number = toattempt(fence), ticket_number(redis.call('HGET', retries, at_work[i]))
    local weight = string.match(redis.call('HGET', jobs, at_work[i]) or '', '^([^|]*)')
    local n = is_isolated(number) and 0
      or charge(redis.call('HGET', token_capacity, pod), tonumber(select(2, string.match(weight, WEIGHT)) or '') or 0)
    spend(pod, n)
    for _, value in ipairs({ at_work[i], attempt, pod, is_isolated(number) and 'isolated' or '', tostring(n) }) do
      orphans[#orphans + 1] = value
    end
    fences[at_work[i]] = table.concat({ owner, tofence(attempt, token), pod, tail }, '|')
    if pod ~= '' then own[pod] = (own[pod] or 0) + slots_of(number, capacity, pod) end
  end
end

for i = working, believed - 1 do
  if known[ARGV[i]] ~= 'runs' then ended[#ended + 1] = ARGV[i] end
end

-- The tokens of slots are counted while their requests run, so the report replaces what they were charged.
local limits = redis.call('EXISTS', token_capacity) == 1
local function account(pod, has, count)
  local field = holder .. '|' .. pod
  if limits then
    local n = count > 0 and redis.call('HEXISTS', token_capacity, pod) == 1 and flight[pod] or 0
    add_tokens(tokens, holder, pod, n - tonumber(redis.call('HGET', tokens, field) or 0))
  end
  if has == count then return end
  if count == 0 then redis.call('HDEL', held, field) else redis.call('HSET', held, field, count) end
  if redis.call('ZSCORE', free, pod) then redis.call('ZINCRBY', free, has - count, pod) end
end

local fields, seen = redis.call('HGETALL', held), {}
for i = 1, #fields, 2 do
  local owner, pod = string.match(fields[i], '^([^|]+)|(.+)$')
  if owner == holder then
    seen[pod] = true
    account(pod, tonumber(fields[i + 1]), own[pod] or 0)
  end
end
for pod, count in pairs(own) do
  if not redis.call('ZSCORE', free, pod) then idle[#idle + 1] = pod
  elseif not seen[pod] then account(pod, 0, count) end
end
for i = believed, #ARGV do
  if not redis.call('ZSCORE', queue, ARGV[i]) and redis.call('HEXISTS', grants, ARGV[i]) == 0 then
    missing[#missing + 1] = ARGV[i]
  end
end
for job, run in pairs(fences) do redis.call('HSET', running, job, run) end
redis.call('ZADD', leases, now + lease_ms, holder)
redis.call('HSET', busy, holder, busy_now)
if completed > 0 then redis.call('HINCRBY', meta, 'completed', completed) end
if served_ms > 0 then redis.call('HINCRBY', meta, 'served', served_ms) end
return { 'ok', redis.call('ZCARD', queue), open, idle, missing, orphans, ended, redis.call('ZCARD', leases) }
