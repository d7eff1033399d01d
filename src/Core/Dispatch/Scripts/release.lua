#!lua flags=allow-oom
-- release: give back slots (or none), then grant free slots to the waiting tickets in their order.
-- KEYS    leases  sorted set holder -> lease expiry (unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         meta  hash seq, vtime, low_vtime, completed, queued · grants  hash ticket entry -> "holder|pod|unix ms" ·
--         running  hash running job -> its run (see jobstate) · flows  hash flow -> queued jobs · jobs  prefix of the jobs' own hashes (same hash tag)
-- ARGV    holder  '' when nothing is given back · endpoint · low  start tags from here on are of low priority · claims  1: it runs jobs ·
--         most  tickets looked at · most_bytes  of inputs answered, but for one · slots...  (pod, count) each
-- RETURN  {'ok' or 'lost', depth, [entry, pod, ..] granted to this holder's own tickets,
--         [job, "attempt|pod|why|timeout ms|queued unix ms", input, s3, ..] jobs that this holder must now run, or end because of why,
--         1 when a limit ended it and another pass may find more}
-- A grant to another holder's ticket waits in grants until that holder accepts it, and is published on
-- 'sluice:grant:GATEWAY'. Tickets past their deadline, or of a holder without lease, are dropped on the way. A job's
-- ticket has no holder: the caller claims it, with a new attempt number, which fences every later write about the job; a job
-- past its deadline or out of attempts is claimed without a slot. More is never given back than is held.
local leases, held, free = KEYS[1], KEYS[2], KEYS[3]
local queue, meta, grants = KEYS[4], KEYS[5], KEYS[6]
local running, flows, jobs = KEYS[7], KEYS[8], KEYS[9]
local holder, endpoint, low, claims = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local most, most_bytes, slots = tonumber(ARGV[5]), tonumber(ARGV[6]), 7
-- include: take
-- include: jobstate
-- include: claim

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local status = redis.call('ZSCORE', leases, holder) and 'ok' or 'lost'
local mine, book, vtime, low_vtime = {}, openings(free, held), nil, nil
if status == 'ok' then
  for i = slots, #ARGV, 2 do book.give(holder, ARGV[i], tonumber(ARGV[i + 1])) end
end
local jobs_claimed = claiming({ jobs = jobs, running = running, flows = flows, meta = meta }, book, holder, string.format('%d', now))

local function grant(entry, tag)
  local owner, id, queued, deadline, flow = string.match(entry, '^%d+|([^|]+)|([^|]+)|(%d+)|(%d+)|(.*)$')
  local late = tonumber(deadline) <= now
  if owner == 'job' then
    if status ~= 'ok' or claims ~= '1' or not jobs_claimed.take(id, flow, late, queued) then return false end
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
while go and seen < most and jobs_claimed.bytes() < most_bytes do
  -- Not more than can be granted, but for what takes no slot.
  local heads = redis.call('ZRANGE', queue, 0, math.min(book.open() + 1, 64, most - seen) - 1, 'WITHSCORES')
  local gone = 0
  go = #heads > 0
  for i = 1, #heads, 2 do
    go = jobs_claimed.bytes() < most_bytes and grant(heads[i], tonumber(heads[i + 1]))
    if not go then break end
    gone = gone + 1
  end
  if gone > 0 then redis.call('ZREMRANGEBYRANK', queue, 0, gone - 1) end
  seen = seen + gone
end
book.keep()
local claimed = jobs_claimed.keep()
if vtime then redis.call('HSET', meta, 'vtime', vtime) end
if low_vtime then redis.call('HSET', meta, 'low_vtime', low_vtime) end
local depth = redis.call('ZCARD', queue)
return { status, depth, mine, claimed, depth > 0 and (seen >= most or jobs_claimed.bytes() >= most_bytes) and 1 or 0 }
