-- claiming (part, after take and jobstate): queued jobs that a holder claims, each on a slot that it books, or, past its deadline or out of
-- attempts, on none. k: jobs, tickets, running, flows. take() is false when no slot is open; bytes() are those of the inputs taken along;
-- keep() writes down what was gathered and gives [job, attempt, pod, why, timeout ms, input, s3, queued unix ms, ..].
local function claiming(k, book, holder, at)
  local states, specs, starts = apart(STATE), apart(SPEC), {}
  local claimed, unqueued, begun, fewer, bytes = {}, {}, {}, {}, 0

  -- What claims of one pod write of jobs whose state was the same: attempt, state, place in running.
  local function start(was, pod)
    local known = starts[pod] or {}
    starts[pod] = known
    if not known[was] then
      local _, attempt, runs = unpack(states(was), 1, 3)
      attempt = string.format('%d', attempt + 1)
      known[was] = { attempt, string.format('IN_PROGRESS|%s|%d|%s|%s|%s', attempt, pod ~= '' and runs + 1 or runs, at, pod, holder),
        holder .. '|' .. attempt .. '|' .. pod }
    end
    return known[was]
  end

  local function take(id, flow, late, queued)
    local job = k.jobs .. id
    local was = redis.call('HMGET', job, 'state', 'spec', 'input', 's3')
    local state, spec = was[1] or '|0|0|0||', specs(was[2] or '1|0|0|0|0|0|')
    local why = late and 'expired' or tonumber(states(state)[3]) >= tonumber(spec[4]) and 'exhausted' or ''
    local pod = why ~= '' and '' or book.take(holder)
    if not pod then return false end
    unqueued[#unqueued + 1] = id
    fewer[flow] = (fewer[flow] or 0) + 1
    if not was[1] then return true end
    local now_is = start(state, pod)
    redis.call('HSET', job, 'state', now_is[2])
    begun[#begun + 1] = id; begun[#begun + 1] = now_is[3]
    local input, n = why == '' and was[3] or '', #claimed
    bytes = bytes + #input
    claimed[n + 1], claimed[n + 2], claimed[n + 3], claimed[n + 4] = id, now_is[1], pod, why
    claimed[n + 5], claimed[n + 6], claimed[n + 7], claimed[n + 8] = spec[5], input, was[4] or '', queued
    return true
  end

  local function keep()
    if #unqueued > 0 then redis.call('HDEL', k.tickets, unpack(unqueued)) end
    if #begun > 0 then redis.call('HSET', k.running, unpack(begun)) end
    for flow, n in pairs(fewer) do
      if redis.call('HINCRBY', k.flows, flow, -n) <= 0 then redis.call('HDEL', k.flows, flow) end
    end
    return claimed
  end

  return { take = take, keep = keep, bytes = function() return bytes end }
end
