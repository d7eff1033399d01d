#!lua flags=allow-oom
-- job-end: give jobs their one final result, and write the outbox entries of their webhooks in the same step.
-- KEYS    queue  sorted set ticket entry -> start tag · running  hash running job -> its run (see jobstate) ·
--         flows  hash flow -> queued jobs · meta  hash queued, mean_ms and a counter for each status ·
--         expiry  sorted set ended job -> when its data goes (unix ms) ·
--         dead  sorted set dead-letter job -> ended (unix ms) · outbox  sorted set delivery -> next try (unix ms) ·
--         log  sorted set delivery -> made (unix ms) · jobs  prefix of job hashes · hooks  prefix of delivery hashes
-- ARGV    endpoint · dead_ms  dead letters are kept for this long at least · kind_count ·
--         rest...  of each kind, what ends of this call have in common: status, 1 for a dead letter, ran ("ready[,stage=ms..]|provider" of the
--         worker), what is written ('output' or 'error'); then for each job: its kind from 1, id, expect ('any', 'queued', or the attempt that must run), output or error
-- RETURN  [place in the call from 1, 'stale' (the fence refused it) or 'gone', its status now, ..] of those that were not ended; most are, and each
--         element costs
-- Who waits for a job is told on 'sluice:job:GATEWAY': 'changed|endpoint|id', and who runs it: 'stop|endpoint|id'.
local queue, running, flows, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local expiry, dead, outbox, log = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local jobs, hooks = KEYS[9], KEYS[10]
local endpoint, dead_ms, kind_count, rest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 4
-- include: jobstate
-- include: ending

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = string.format('%d', now)
local runs, kinds, ends = apart(RUN), {}, rest + 4 * kind_count
for i = rest, ends - 1, 4 do
  kinds[#kinds + 1] = { status = ARGV[i], dead = ARGV[i + 1] == '1', ran = at .. '|' .. ARGV[i + 2], what = ARGV[i + 3], dues = {} }
end
local jobs_ended = ending({ queue = queue, running = running, flows = flows, meta = meta, expiry = expiry, dead = dead, outbox = outbox, log = log,
  jobs = jobs, hooks = hooks }, endpoint, now, at, dead_ms)

local asked, ended, answer = {}, {}, {}
for i = ends, #ARGV, 4 do asked[#asked + 1] = ARGV[i + 1] end
local at_work = redis.call('HMGET', running, unpack(asked))
for n, id in ipairs(asked) do
  local i, did, status = ends + 4 * (n - 1), 'stale', 'IN_PROGRESS'
  local kind, expect, value, run = kinds[tonumber(ARGV[i])], ARGV[i + 2], ARGV[i + 3], at_work[n] and not ended[id] and runs(at_work[n])
  if not run then
    local was = redis.call('HMGET', jobs .. id, 'spec', 'waits', 'past', 'end', 'webhook', 'watchers')
    status = was[4] and string.match(was[4], '^[^|]+') or 'IN_QUEUE'
    if not was[1] then did, status = 'gone', ''
    elseif status == 'IN_QUEUE' and (expect == 'any' or expect == 'queued') then
      jobs_ended.unqueue(id, kind, value, was[1], was[2], was[3] or NO_PAST, was[5], was[6] or '')
      did = nil
    end
  elseif expect == 'any' or expect == run[2] then
    jobs_ended.stop(id, kind, expect, value, run)
    did, ended[id] = nil, true
  end
  if did then
    for _, value in ipairs({ n, did, status }) do answer[#answer + 1] = value end
  end
end
jobs_ended.keep()
return answer
