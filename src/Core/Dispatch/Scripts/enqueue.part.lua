-- enqueue (part): the start tag of a new ticket, by start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996): the larger of
-- virtual time and its flow's last finish tag; a flow of weight w pays 1/w for a ticket. Low priority has a virtual time
-- of its own, above every normal tag. An idle queue forgets its flows.
local function starttag(k, flow, weight, low_from, is_low)
  if redis.call('ZCARD', k.queue) == 0 then redis.call('DEL', k.finish) end
  local vtime = tonumber(redis.call('HGET', k.meta, is_low and 'low_vtime' or 'vtime') or 0)
  local field = is_low and 'low|' .. flow or flow
  local tag = math.max(is_low and low_from or 0, vtime, tonumber(redis.call('HGET', k.finish, field) or 0))
  redis.call('HSET', k.finish, field, string.format('%.9f', tag + 1 / weight))
  return tag
end
