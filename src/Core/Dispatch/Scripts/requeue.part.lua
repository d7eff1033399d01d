-- requeue (part, after jobstate): puts a job whose attempt ended without a result back to the head of the queue.
-- k: running, flows, queue, meta, jobs. run: its entry in running. counted: whether the attempt counts against the job's limit.
-- Of its lost attempts the last are kept, 4 KiB of them.
local function requeue(k, id, run, now, why, counted)
  local job = k.jobs .. id
  local was = redis.call('HMGET', job, 'spec', 'waits', 'lost')
  redis.call('HDEL', k.running, id)
  if not was[1] then return end
  local _, attempt, pod, started, runs, _, _, watchers = string.match(run, RUN)
  local flow = select(7, string.match(was[1], SPEC))
  local submitted, _, deadline = string.match(was[2], WAITS)
  if counted then redis.call('HINCRBY', k.meta, 'retried', 1)
  elseif pod ~= '' then runs = runs - 1 end
  local lost = string.format('%s%s|%s|%s|%d|%s\n', was[3] or '', attempt, pod, started, now, why)
  if #lost > 4096 then lost = string.gsub(string.sub(lost, -4096), '^[^\n]*\n', '', 1) end
  local seq = string.format('%015d', redis.call('HINCRBY', k.meta, 'seq', 1))
  local waits = string.format('%s|%d|%s|%s', submitted, now, deadline, seq)
  redis.call('HSET', job, 'past', string.format('%s|%d|%s|%s', attempt, runs, started, pod), 'lost', lost, 'waits', waits)
  if watchers ~= '' then redis.call('HSET', job, 'watchers', watchers) end
  redis.call('ZADD', k.queue, -1, ticket(id, waits, was[1]))
  redis.call('HINCRBY', k.meta, 'queued', 1)
  redis.call('HINCRBY', k.flows, flow, 1)
end
