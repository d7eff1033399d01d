-- enqueue (part): start tags of new tickets, by start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996).
-- A tag is the larger of virtual time and the last finish tag of the flow; a flow of weight w pays 1/w for a ticket.
-- Low priority has a separate virtual time, above every normal tag. When the queue is empty, the finish tags are
-- deleted.
-- take() returns a tag as text, seq() the number of the next ticket. keep() writes the new state.
local function starttags(k, depth, low_from)
  if depth == 0 then redis.call('DEL', k.finish) end
  local vtimes, last = redis.call('HMGET', k.meta, 'vtime', 'low_vtime', 'seq'), {}
  local seq = tonumber(vtimes[3] or 0)
  -- The text of a whole number is cheaper to format, and most tags are whole numbers.
  local function text(tag) return string.format(tag % 1 == 0 and '%d' or '%.9f', tag) end
  local function take(flow, weight, is_low)
    local field = is_low and 'low|' .. flow or flow
    local tag = last[field]
    -- Within one call, the last tag of a flow is never less than virtual time.
    if not tag then
      local from = is_low and math.max(low_from, tonumber(vtimes[2] or 0)) or tonumber(vtimes[1] or 0)
      tag = math.max(from, tonumber(redis.call('HGET', k.finish, field) or 0))
    end
    last[field] = weight == 1 and tag + 1 or tonumber(string.format('%.9f', tag + 1 / weight))
    return text(tag)
  end
  local function next_seq()
    seq = seq + 1
    return string.format('%015d', seq)
  end
  local function keep()
    local flat = {}
    redis.call('HSET', k.meta, 'seq', string.format('%d', seq))
    for field, tag in pairs(last) do
      flat[#flat + 1] = field; flat[#flat + 1] = text(tag)
    end
    if #flat > 0 then redis.call('HSET', k.finish, unpack(flat)) end
  end
  return { take = take, seq = next_seq, keep = keep }
end
