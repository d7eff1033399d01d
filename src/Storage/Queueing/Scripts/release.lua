#!lua flags=allow-oom
-- release: end jobs and return slots (each may be none), then grant free slots to the waiting tickets in their order.
-- KEYS    leases  sorted set holder -> lease expiry (Unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         meta  hash seq, vtime, low_vtime, completed, queued, mean_ms, kept and a counter for each status ·
--         grants  hash ticket entry -> "holder|pod|Unix ms" · running  hash running job -> its run ·
--         flows  hash flow -> queued jobs · jobs  hash job -> its submission ·
--         retries  hash job that was queued again -> its previous attempts ·
--         watchers  hash queued job -> gateways to notify · results  hash ended job -> its result ·
--         blobs  hash "job|in", "job|out" -> large values (see jobstate for all these) ·
--         expiry  sorted set "ended|job,job.." -> when their data is deleted (Unix ms) ·
--         dead  sorted set dead-letter job -> ended · outbox  sorted set delivery -> next attempt ·
--         log sorted set delivery -> created · hooks  prefix of delivery hashes ·
--         bytes  hash flow -> bytes (see jobbytes) · capacity  hash pod -> slots ·
--         token_capacity  hash pod -> how many tokens it can hold · tokens  hash tokens in flight (see room) ·
--         ledger  sorted set of the hashes of usage, and their prefix (see ledger)
-- ARGV    holder  '' when no slots are returned · endpoint · low  start tags from here on are of low priority ·
--         claims 1: the holder runs jobs · most  tickets to process ·
--         most_bytes  of the returned inputs, exceeded by at most one input ·
--         dead_ms  the minimum retention of dead letters · token  for the fences of the claims of this call, random ·
--         slot_count · kind_count · rest...  (pod, count, tokens) of each of slot_count pods, then the ends (see
--         ends)
-- RETURN  {'ok' or 'lost', depth, [entry, pod, ..] granted to tickets of this holder, [job, "attempt|pod|why|timeout
--         ms|queued Unix ms|tokens|flow|s3", input, ..] jobs that this holder must run (why: '', or 'isolated': on all
--         slots of the pod) or end because of why, 1 when a limit ended the pass and another pass may find more,
--         [place, 'stale' or 'gone', status, ..] of the ends that were rejected}
-- A grant to a ticket of another holder is stored in grants until that holder accepts it, and is published on
-- 'sluice:grant:GATEWAY'. Tickets past their deadline, or of a holder without a lease, are dropped.
-- The ticket of a job has no holder: the caller claims it with a new attempt number and the token, which fence every
-- later write about the job. A job past its deadline or out of attempts is claimed without a slot.
-- A ticket that fits at no worker, because of its tokens, keeps its place, and all tickets behind it wait: so enough
-- tokens become free.
-- At most the held slots are returned. The end of a job needs no lease, only its fence. Isolated tickets are granted
-- first, each on all slots of a worker (see isolating).
local leases, held, free = KEYS[1], KEYS[2], KEYS[3]
local queue, meta, grants = KEYS[4], KEYS[5], KEYS[6]
local running, flows, jobs, retries, watchers = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local results, blobs = KEYS[12], KEYS[13]
local expiry, dead, outbox, log, hooks = KEYS[14], KEYS[15], KEYS[16], KEYS[17], KEYS[18]
local bytes, capacity, token_capacity, tokens, ledger = KEYS[19], KEYS[20], KEYS[21], KEYS[22], KEYS[23]
local holder, endpoint, low, claims = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local most, most_bytes, dead_ms = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local token, slot_count, kind_count, rest = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10]), 11
-- include: room
-- include: take
-- include: jobstate
-- include: isolated
-- include: claim
-- include: isolating
-- include: vtime
-- include: jobbytes
-- include: ledger
-- include: ending
-- include: ends

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slots_end = rest + 3 * slot_count
local k = { queue = queue, running = running, flows = flows, meta = meta, jobs = jobs, retries = retries,
  watchers = watchers, results = results, blobs = blobs, expiry = expiry, dead = dead, outbox = outbox, log = log,
  hooks = hooks, bytes = bytes, ledger = ledger }
local refused = kind_count > 0 and endall(k, endpoint, now, dead_ms, kind_count, slots_end) or {}
local status = redis.call('ZSCORE', leases, holder) and 'ok' or 'lost'
local mine, book = {}, openings(free, held, capacity, { token_capacity = token_capacity, tokens = tokens })
if status == 'ok' then
  for i = rest, slots_end - 1, 3 do
    book.give(holder, ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]))
  end
end
local jobs_claimed = claiming(k, holder, string.format('%d', now), token)

local tails, owners, ids, ends_of = apart('^(%d+)|(%d+)|(.*)$'), {}, {}, {}

local function grant(i, entry, owner, id, tail, pick, how)
  local queued, deadline, flow = unpack(tails(tail))
  local late = tonumber(deadline) <= now
  if owner == 'job' then
    if status ~= 'ok' or claims ~= '1'
      or not jobs_claimed.take(i, id, flow, late, queued, pick, how) then return false end
  elseif late or not redis.call('ZSCORE', leases, owner) then return true
  else
    local pod = pick(owner, tokens_of(entry))
    if not pod then return false end
    if owner == holder then mine[#mine + 1] = entry; mine[#mine + 1] = pod
    else
      redis.call('HSET', grants, entry, owner .. '|' .. pod .. '|' .. now)
      redis.call('PUBLISH', 'sluice:grant:' .. string.match(owner, '^[^~]+'),
        endpoint .. '\n' .. entry .. '\n' .. pod)
    end
  end
  return true
end

local go, seen, isolated = true, 0, nil
while go and seen < most and jobs_claimed.bytes() < most_bytes do
  -- Read only as many tickets as can be granted, plus one, which may need no slot.
  local skip, gone = isolated or 0, 0
  local heads = redis.call('ZRANGE', queue, skip, skip + math.min(book.open() + 1, 64, most - seen) - 1)
  if not isolated and heads[1] and is_isolated(heads[1]) then
    isolated, seen = isolating(k, book, jobs_claimed, claims == '1', grant)
    heads = isolated <= MOST_ISOLATED
      and redis.call('ZRANGE', queue, isolated, isolated + math.min(book.open() + 1, 64) - 1) or {}
    skip = isolated
  end
  go = #heads > 0
  for i = 1, #heads do
    owners[i], ids[i], ends_of[i] = string.match(heads[i], '^%d+|([^|]+)|([^|]+)|(.*)$')
  end
  if go and claims == '1' then jobs_claimed.read(ids, #heads) end
  for i = 1, #heads do
    go = jobs_claimed.bytes() < most_bytes and grant(i, heads[i], owners[i], ids[i], ends_of[i], book.take, '')
    if not go then break end
    gone = i
  end
  if gone > 0 then
    pass(k, low, heads[gone])
    redis.call('ZREMRANGEBYRANK', queue, skip, skip + gone - 1)
  end
  seen = seen + gone
end
book.keep()
local claimed = jobs_claimed.keep()
local depth = redis.call('ZCARD', queue)
return { status, depth, mine, claimed,
  depth > 0 and (seen >= most or jobs_claimed.bytes() >= most_bytes) and 1 or 0, refused }
