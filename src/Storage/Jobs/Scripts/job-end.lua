#!lua flags=allow-oom
-- job-end: end jobs with their final results, whether they are queued or running. (Ends of a gateway's own attempts are
-- part of release.)
-- KEYS    queue  sorted set ticket entry -> start tag · running  hash running job -> its run (see jobstate) ·
--         jobs  hash job -> its submission · retries  hash job that was queued again -> its previous attempts ·
--         watchers  hash queued job -> gateways to notify · results  hash ended job -> its result ·
--         blobs  hash "job|in", "job|out" -> large values · flows  hash flow -> queued jobs ·
--         meta  hash queued, mean_ms and a counter for each status ·
--         expiry  sorted set "ended|job,job.." -> when their data is deleted (Unix ms) ·
--         dead  sorted set dead-letter job -> ended (Unix ms) · outbox  sorted set delivery -> next attempt (Unix ms) ·
--         log  sorted set delivery -> created (Unix ms) · hooks  prefix of delivery hashes ·
--         bytes  hash flow -> bytes (see jobbytes) ·
--         ledger  sorted set of the hashes of usage, and their prefix (see ledger)
-- ARGV    endpoint · dead_ms  the minimum retention of dead letters · kind_count · rest...  the ends (see ends)
-- RETURN  [place in the call from 1, 'stale' or 'gone', the current status, ..] of the jobs that were not ended
local queue, running, jobs, retries, watchers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local results, blobs, flows, meta = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local expiry, dead, outbox, log, hooks, bytes = KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local ledger = KEYS[16]
local endpoint, dead_ms, kind_count, rest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 4
-- include: jobstate
-- include: jobbytes
-- include: ledger
-- include: ending
-- include: ends

local time = redis.call('TIME')
return endall({ queue = queue, running = running, flows = flows, meta = meta, jobs = jobs, retries = retries,
  watchers = watchers, results = results, blobs = blobs, expiry = expiry, dead = dead, outbox = outbox, log = log,
  hooks = hooks, bytes = bytes, ledger = ledger },
  endpoint, time[1] * 1000 + math.floor(time[2] / 1000), dead_ms, kind_count, rest)
