-- requeue (part, after jobstate): puts a job whose attempt ended without a result back to the head of the queue.
-- k: tickets, running, flows, queue, meta, jobs. counted: whether the attempt counts against the job's limit.
-- Of its lost attempts the last are kept, 4 KiB of them.
local function requeue(k, id, now, why, counted)
  local job = k.jobs .. id
  local was = redis.call('HMGET', job, 'state', 'spec', 'waits', 'lost')
  redis.call('HDEL', k.running, id)
  if not was[1] then return end
  local _, attempt, runs, started, pod = string.match(was[1], STATE)
  local flow = select(7, string.match(was[2], SPEC))
  local submitted, _, deadline = string.match(was[3], WAITS)
  if counted then redis.call('HINCRBY', k.meta, 'retried', 1)
  elseif pod ~= '' then runs = runs - 1 end
  local lost = string.format('%s%s|%s|%s|%d|%s\n', was[4] or '', attempt, pod, started, now, why)
  if #lost > 4096 then lost = string.gsub(string.sub(lost, -4096), '^[^\n]*\n', '', 1) end
  redis.call('HSET', job, 'state', string.format('IN_QUEUE|%s|%d|%s|%s|', attempt, runs, started, pod), 'lost', lost,
    'waits', string.format('%s|%d|%s', submitted, now, deadline))
  local seq = redis.call('HINCRBY', k.meta, 'seq', 1)
  local entry = string.format('%015d|job|%s|%d|%s|%s', seq, id, now, deadline, flow)
  redis.call('ZADD', k.queue, -1, entry)
  redis.call('HSET', k.tickets, id, entry)
  redis.call('HINCRBY', k.flows, flow, 1)
end
