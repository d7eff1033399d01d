-- requeue (part): puts a job whose attempt ended without a result back to the head of the queue.
-- k: tickets, running, flows, queue, meta, jobs. counted: whether the attempt counts against the job's limit.
local function requeue(k, id, now, why, counted)
  local job = k.jobs .. id
  local was = redis.call('HMGET', job, 'flow', 'deadline', 'attempt', 'pod', 'started', 'lost')
  redis.call('HDEL', k.running, id)
  if not was[1] then return end
  if counted then redis.call('HINCRBY', k.meta, 'retried', 1)
  elseif was[4] ~= '' then redis.call('HINCRBY', job, 'runs', -1) end
  local lost = string.format('%s%s|%s|%s|%d|%s\n', was[6] or '', was[3], was[4], was[5], now, why)
  redis.call('HSET', job, 'status', 'IN_QUEUE', 'lost', lost, 'queued', now)
  local seq = redis.call('HINCRBY', k.meta, 'seq', 1)
  local entry = string.format('%015d|job|%s|%d|%s|%s', seq, id, now, was[2], was[1])
  redis.call('ZADD', k.queue, -1, entry)
  redis.call('HSET', k.tickets, id, entry)
  redis.call('HINCRBY', k.flows, was[1], 1)
end
