-- requeue (part, after jobstate): puts a job whose attempt ended without a result back to the head of the queue.
-- k: running, flows, queue, meta, asked, again, watched. run: its entry in running. counted: whether the attempt counts against the job's limit.
-- Of its lost attempts the last are kept, 4 KiB of them.
local function requeue(k, id, run, now, why, counted)
  local asked, back = redis.call('HGET', k.asked, id), redis.call('HGET', k.again, id)
  redis.call('HDEL', k.running, id)
  if not asked then return end
  local _, fence, pod, started, runs, _, _, watchers = string.match(run, RUN)
  local attempt = toattempt(fence)
  local spec, _, deadline = string.match(asked, HEAD)
  local flow, lost, _ = select(7, string.match(spec, SPEC)), ''
  if back then deadline, _, lost = select(6, string.match(back, AGAIN)) end
  if counted then redis.call('HINCRBY', k.meta, 'retried', 1)
  elseif pod ~= '' then runs = runs - 1 end
  lost = string.format('%s%s|%s|%s|%d|%s\n', lost, attempt, pod, started, now, why)
  if #lost > 4096 then lost = string.gsub(string.sub(lost, -4096), '^[^\n]*\n', '', 1) end
  local seq = string.format('%015d', redis.call('HINCRBY', k.meta, 'seq', 1))
  back = string.format('%s|%d|%s|%s|%d|%s|%s\n', attempt, runs, started, pod, now, deadline, seq) .. lost
  redis.call('HSET', k.again, id, back)
  if watchers ~= '' then redis.call('HSET', k.watched, id, watchers) end
  redis.call('ZADD', k.queue, -1, ticket(id, asked, back))
  redis.call('HINCRBY', k.meta, 'queued', 1)
  redis.call('HINCRBY', k.flows, flow, 1)
end
