#!lua flags=allow-oom
-- release: give back slots (or none), then grant free slots to the waiting tickets in their order.
-- KEYS    leases  sorted set holder -> lease expiry (unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         meta  hash seq, vtime, low_vtime, completed · grants  hash ticket entry -> "holder|pod|unix ms" ·
--         tickets  hash queued job -> ticket entry · running  hash running job -> "holder|attempt|pod" ·
--         flows  hash flow -> queued jobs · jobs  prefix of the jobs' own hashes (same hash tag)
-- ARGV    holder  '' when nothing is given back · endpoint · low  start tags from here on are of low priority · claims  1: it runs jobs ·
--         slots...  (pod, count) each
-- RETURN  {'ok' or 'lost', depth, [entry, pod, ..] granted to this holder's own tickets,
--         [job, attempt, pod, why, timeout ms, input, s3, ..] jobs that this holder must now run, or end because of why}
-- A grant to another holder's ticket waits in grants until that holder accepts it, and is published on
-- 'sluice:grant:GATEWAY'. Tickets past their deadline, or of a holder without lease, are dropped on the way. A job's
-- ticket has no holder: the caller claims it, with a new attempt number, which fences every later write about the job; a job
-- past its deadline or out of attempts is claimed without a slot. More is never given back than is held.
local leases, held, free = KEYS[1], KEYS[2], KEYS[3]
local queue, meta, grants = KEYS[4], KEYS[5], KEYS[6]
local tickets, running, flows, jobs = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local holder, endpoint, low, claims, slots = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], 5
-- include: unqueue
-- include: take

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local status = redis.call('ZSCORE', leases, holder) and 'ok' or 'lost'
local mine, claimed = {}, {}

local function claim(id, flow, late)
  local job = jobs .. id
  local was = redis.call('HMGET', job, 'attempt', 'runs', 'max', 'timeout', 'input', 's3')
  local why = late and 'expired' or tonumber(was[2] or 0) >= tonumber(was[3] or 0) and 'exhausted' or ''
  local pod = why == '' and take(free, held, holder) or why ~= '' and ''
  if not pod then return false end
  unqueue({ queue = queue, tickets = tickets, flows = flows }, id, flow)
  if not was[1] then return true end
  local attempt = tonumber(was[1]) + 1
  if pod ~= '' then redis.call('HINCRBY', job, 'runs', 1) end
  redis.call('HSET', job, 'status', 'IN_PROGRESS', 'attempt', attempt, 'started', now, 'holder', holder, 'pod', pod)
  redis.call('HSET', running, id, holder .. '|' .. attempt .. '|' .. pod)
  for _, value in ipairs({ id, attempt, pod, why, was[4], why == '' and was[5] or '', was[6] or '' }) do
    claimed[#claimed + 1] = value
  end
  return true
end

if status == 'ok' then
  for i = slots, #ARGV, 2 do give(free, held, holder, ARGV[i], tonumber(ARGV[i + 1])) end
end
while true do
  local head = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  if not head[1] then break end
  local entry, tag = head[1], tonumber(head[2])
  local owner, id, deadline, flow = string.match(entry, '^%d+|([^|]+)|([^|]+)|%d+|(%d+)|(.*)$')
  local late, granted = tonumber(deadline) <= now, true
  if owner == 'job' then
    granted = status == 'ok' and claims == '1' and claim(id, flow, late)
  elseif late or not redis.call('ZSCORE', leases, owner) then
    redis.call('ZREM', queue, entry)
    tag = -1
  else
    local pod = take(free, held, owner)
    granted = pod
    if pod then
      redis.call('ZREM', queue, entry)
      if owner == holder then mine[#mine + 1] = entry; mine[#mine + 1] = pod
      else
        redis.call('HSET', grants, entry, owner .. '|' .. pod .. '|' .. now)
        redis.call('PUBLISH', 'sluice:grant:' .. string.match(owner, '^[^~]+'), endpoint .. '\n' .. entry .. '\n' .. pod)
      end
    end
  end
  if not granted then break end
  if tag >= low then redis.call('HSET', meta, 'low_vtime', tag)
  elseif tag >= 0 then redis.call('HSET', meta, 'vtime', tag) end
end
return { status, redis.call('ZCARD', queue), mine, claimed }
