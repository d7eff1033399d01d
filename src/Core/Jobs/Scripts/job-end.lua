#!lua flags=allow-oom
-- job-end: give jobs their one final result, whether they wait or run. (What a gateway's own attempts come to goes with release.)
-- KEYS    queue  sorted set ticket entry -> start tag · running  hash running job -> its run (see jobstate) ·
--         asked  hash job -> what was asked · again  hash job that waits again -> its past · watched  hash waiting job -> gateways ·
--         results  hash ended job -> its result · large  hash "job|in", "job|out" -> large ones ·
--         flows  hash flow -> queued jobs · meta  hash queued, mean_ms and a counter for each status ·
--         expiry  sorted set "ended|job,job.." -> when their data goes (unix ms) ·
--         dead  sorted set dead-letter job -> ended (unix ms) · outbox  sorted set delivery -> next try (unix ms) ·
--         log  sorted set delivery -> made (unix ms) · hooks  prefix of delivery hashes · bytes  hash flow -> bytes (see jobbytes)
-- ARGV    endpoint · dead_ms  dead letters are kept for this long at least · kind_count · rest...  the ends (see ends)
-- RETURN  [place in the call from 1, 'stale' or 'gone', its status now, ..] of those that were not ended
local queue, running, asked, again, watched = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local results, large, flows, meta = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local expiry, dead, outbox, log, hooks, bytes = KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local endpoint, dead_ms, kind_count, rest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 4
-- include: jobstate
-- include: jobbytes
-- include: ending
-- include: ends

local time = redis.call('TIME')
return endall({ queue = queue, running = running, flows = flows, meta = meta, asked = asked, again = again, watched = watched, results = results,
  large = large, expiry = expiry, dead = dead, outbox = outbox, log = log, hooks = hooks, bytes = bytes }, endpoint, time[1] * 1000 + math.floor(time[2] / 1000), dead_ms, kind_count, rest)
