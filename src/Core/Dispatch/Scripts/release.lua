#!lua flags=allow-oom
-- release: give back slots (or none), then grant free slots to the waiting tickets in their order.
-- KEYS    leases  sorted set holder -> lease expiry (unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         meta  hash seq, vtime, low_vtime, completed · grants  hash ticket entry -> "holder|pod|unix ms" ·
--         tickets  hash queued job -> ticket entry · running  hash running job -> "holder|attempt|pod" ·
--         flows  hash flow -> queued jobs · jobs  prefix of the jobs' own hashes (same hash tag)
-- ARGV    holder  '' when nothing is given back · endpoint · low  start tags from here on are of low priority · claims  1: it runs jobs ·
--         most  tickets looked at · most_bytes  of inputs answered, but for one · slots...  (pod, count) each
-- RETURN  {'ok' or 'lost', depth, [entry, pod, ..] granted to this holder's own tickets,
--         [job, attempt, pod, why, timeout ms, input, s3, queued unix ms, ..] jobs that this holder must now run, or end because of why,
--         1 when a limit ended it and another pass may find more}
-- A grant to another holder's ticket waits in grants until that holder accepts it, and is published on
-- 'sluice:grant:GATEWAY'. Tickets past their deadline, or of a holder without lease, are dropped on the way. A job's
-- ticket has no holder: the caller claims it, with a new attempt number, which fences every later write about the job; a job
-- past its deadline or out of attempts is claimed without a slot. More is never given back than is held.
local leases, held, free = KEYS[1], KEYS[2], KEYS[3]
local queue, meta, grants = KEYS[4], KEYS[5], KEYS[6]
local tickets, running, flows, jobs = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local holder, endpoint, low, claims = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local most, most_bytes, slots = tonumber(ARGV[5]), tonumber(ARGV[6]), 7
-- include: take
-- include: jobstate

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local status = redis.call('ZSCORE', leases, holder) and 'ok' or 'lost'
if status == 'ok' then
  for i = slots, #ARGV, 2 do give(free, held, holder, ARGV[i], tonumber(ARGV[i + 1])) end
end
local mine, claimed, book = {}, {}, openings(free, held)
local at, bytes, gone, unqueued, begun, fewer, vtime, low_vtime = string.format('%d', now), 0, {}, {}, {}, {}, nil, nil

local function claim(entry, id, flow, late)
  local job = jobs .. id
  local was = redis.call('HMGET', job, 'state', 'spec', 'input', 's3', 'waits')
  local _, attempt, runs = string.match(was[1] or '|0|0|0||', STATE)
  local _, _, _, max, timeout = string.match(was[2] or '1|0|0|0|0|0|', SPEC)
  local why = late and 'expired' or tonumber(runs) >= tonumber(max) and 'exhausted' or ''
  local pod = why ~= '' and '' or book.take(holder)
  if not pod then return false end
  unqueued[#unqueued + 1] = id
  fewer[flow] = (fewer[flow] or 0) + 1
  if not was[1] then return true end
  attempt = string.format('%d', attempt + 1)
  redis.call('HSET', job, 'state', string.format('IN_PROGRESS|%s|%d|%s|%s|%s', attempt, pod ~= '' and runs + 1 or runs, at, pod, holder))
  begun[#begun + 1] = id; begun[#begun + 1] = holder .. '|' .. attempt .. '|' .. pod
  local input = why == '' and was[3] or ''
  local _, queued = string.match(was[5] or '', WAITS)
  bytes = bytes + #input
  for _, value in ipairs({ id, attempt, pod, why, timeout, input, was[4] or '', queued or '0' }) do claimed[#claimed + 1] = value end
  return true
end

local function grant(entry, tag)
  local owner, id, deadline, flow = string.match(entry, '^%d+|([^|]+)|([^|]+)|%d+|(%d+)|(.*)$')
  local late = tonumber(deadline) <= now
  if owner == 'job' then
    if status ~= 'ok' or claims ~= '1' or not claim(entry, id, flow, late) then return false end
  elseif late or not redis.call('ZSCORE', leases, owner) then return true
  else
    local pod = book.take(owner)
    if not pod then return false end
    if owner == holder then mine[#mine + 1] = entry; mine[#mine + 1] = pod
    else
      redis.call('HSET', grants, entry, owner .. '|' .. pod .. '|' .. now)
      redis.call('PUBLISH', 'sluice:grant:' .. string.match(owner, '^[^~]+'), endpoint .. '\n' .. entry .. '\n' .. pod)
    end
  end
  if tag >= low then low_vtime = tag elseif tag >= 0 then vtime = tag end
  return true
end

local go, seen = true, 0
while go and seen < most and bytes < most_bytes do
  -- Not more than can be granted, but for what takes no slot.
  local heads = redis.call('ZRANGE', queue, 0, math.min(book.left() + 1, 64, most - seen) - 1, 'WITHSCORES')
  gone, go = {}, #heads > 0
  for i = 1, #heads, 2 do
    go = bytes < most_bytes and grant(heads[i], tonumber(heads[i + 1]))
    if not go then break end
    gone[#gone + 1] = heads[i]
  end
  if #gone > 0 then redis.call('ZREM', queue, unpack(gone)) end
  seen = seen + #gone
end
book.keep()
if #unqueued > 0 then redis.call('HDEL', tickets, unpack(unqueued)) end
if #begun > 0 then redis.call('HSET', running, unpack(begun)) end
for flow, n in pairs(fewer) do
  if redis.call('HINCRBY', flows, flow, -n) <= 0 then redis.call('HDEL', flows, flow) end
end
if vtime then redis.call('HSET', meta, 'vtime', vtime) end
if low_vtime then redis.call('HSET', meta, 'low_vtime', low_vtime) end
local depth = redis.call('ZCARD', queue)
return { status, depth, mine, claimed, depth > 0 and (seen >= most or bytes >= most_bytes) and 1 or 0 }
