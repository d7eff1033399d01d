-- requeue (part, after jobstate and isolated): puts a job whose attempt ended without a result back to the head of the
-- queue.
-- k: running, flows, queue, meta, jobs, retries, watchers. run: its entry in running. loss: what was lost, which
-- determines whether the attempt counts against the limit of the job, and whether the job is isolated from then on:
--   free     nothing that the job affected: does not count · counted  counts (the handler failed, or the worker runs
--            one job at a time)
--   alone    the worker, which had no other work: counts, isolates · shared  the worker, which had other work:
--            isolates, counts if the job is isolated
--   gateway  the gateway: counts; if the job would reach its limit by it, the job is isolated instead, once
-- A job with a limit of 1 runs once: every loss of it counts. For other jobs, at most one loss (except free losses)
-- does not count: the loss that isolates the job.
-- The last lost attempts are stored, at most 4 KiB.
local function requeue(k, id, run, now, why, loss)
  local submission, back = redis.call('HGET', k.jobs, id), redis.call('HGET', k.retries, id)
  redis.call('HDEL', k.running, id)
  local _, fence, pod, started, runs, _, _, watchers = string.match(run, RUN)
  local spec, _, deadline = string.match(submission or '', HEAD)
  local most, _, _, flow = select(4, string.match(spec or '', SPEC))
  local lost, isolated = '', is_isolated(ticket_number(back))
  if back then deadline, _, lost = select(6, string.match(back, RETRY)) end
  -- A corrupted job is treated as a missing one, as in claiming: it must not stop the requeue of other jobs.
  if not (fence and flow and deadline) then return end
  local attempt = toattempt(fence)
  most = tonumber(most)
  local counted = loss == 'counted' or loss == 'alone' or loss ~= 'free' and (isolated or most == 1)
    or loss == 'gateway' and (tonumber(runs) < most or pod == '')
  if loss ~= 'free' then redis.call('HINCRBY', k.meta, 'retried', 1) end
  if not counted and pod ~= '' then runs = runs - 1 end
  isolated = isolated or loss == 'alone' or loss == 'shared' or loss == 'gateway' and not counted
  lost = string.format('%s%s|%s|%s|%d|%s\n', lost, attempt, pod, started, now, why)
  if #lost > 4096 then lost = string.gsub(string.sub(lost, -4096), '^[^\n]*\n', '', 1) end
  local seq = string.format('%015d', redis.call('HINCRBY', k.meta, 'seq', 1) + (isolated and ISOLATED_FROM or 0))
  back = string.format('%s|%d|%s|%s|%d|%s|%s\n', attempt, runs, started, pod, now, deadline, seq) .. lost
  redis.call('HSET', k.retries, id, back)
  if watchers ~= '' then redis.call('HSET', k.watchers, id, watchers) end
  redis.call('ZADD', k.queue, isolated and ISOLATED_TAG or -1, ticket(id, submission, back))
  redis.call('HINCRBY', k.meta, 'queued', 1)
  redis.call('HINCRBY', k.flows, flow, 1)
end
