#!lua flags=allow-oom
-- job-requeue: end an attempt that produced no result; the job is queued again at the head of the queue.
-- KEYS    queue  sorted set ticket entry -> start tag · running  hash running job -> its run (see jobstate) ·
--         flows  hash flow -> queued jobs · meta  hash seq, queued, retried · jobs  hash job -> its submission ·
--         retries  hash job that was queued again -> its previous attempts ·
--         watchers  hash queued job -> gateways to notify
-- ARGV    id · fence · loss  free, counted, alone or shared (see requeue) · why
-- RETURN  1, or 0 when the fence rejected it: another attempt is running, or the job has ended
local queue, running, flows, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local jobs, retries, watchers = KEYS[5], KEYS[6], KEYS[7]
local id, fence, loss, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
-- include: jobstate
-- include: isolated
-- include: requeue

local run = redis.call('HGET', running, id)
if not run or select(2, string.match(run, RUN)) ~= fence then return 0 end
local time = redis.call('TIME')
requeue({ running = running, flows = flows, queue = queue, meta = meta, jobs = jobs, retries = retries,
  watchers = watchers },
  id, run, time[1] * 1000 + math.floor(time[2] / 1000), why, loss)
return 1
