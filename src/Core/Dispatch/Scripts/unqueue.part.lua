-- unqueue (part): takes a job's ticket out of the queue and out of its flow's count.
local function unqueue(k, id, flow)
  local entry = redis.call('HGET', k.tickets, id)
  if not entry then return end
  redis.call('ZREM', k.queue, entry)
  redis.call('HDEL', k.tickets, id)
  if redis.call('HINCRBY', k.flows, flow, -1) <= 0 then redis.call('HDEL', k.flows, flow) end
end
