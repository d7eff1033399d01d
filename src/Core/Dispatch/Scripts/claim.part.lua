-- claiming (part, after take and jobstate): queued jobs that a holder claims, each on a slot that it books, or, past its deadline or out of
-- attempts, on none. k: jobs, running, flows, meta. take() is false when no slot is open; bytes() are those of the inputs taken along;
-- keep() writes down what was gathered and gives [job, "attempt|pod|why|timeout ms|queued unix ms|s3", input, ..].
local function claiming(k, book, holder, at)
  local specs, pasts, starts = apart(SPEC), apart(PAST), {}
  local claimed, unqueued, begun, fewer, bytes = {}, 0, {}, {}, 0

  -- What claims of one pod have in common whose jobs have the same past and spec: how what is told of them begins, and their entries in running.
  local function start(past, spec, pod)
    local key = pod .. '\n' .. past
    local known = starts[spec] or {}
    starts[spec] = known
    if not known[key] then
      local attempt, runs = unpack(pasts(past), 1, 2)
      attempt = string.format('%d', attempt + 1)
      known[key] = { attempt .. '|' .. pod .. '|', string.format('%s|%s|%s|%s|%d|%s|', holder, attempt, pod, at, pod ~= '' and runs + 1 or runs, spec[6]) }
    end
    return known[key]
  end

  local function take(id, flow, late, queued)
    local was = redis.call('HMGET', k.jobs .. id, 'spec', 'input', 'past', 's3', 'webhook', 'watchers')
    local past, spec = was[3] or NO_PAST, specs(was[1] or '1|0|0|0|0|0|')
    local why = late and 'expired' or tonumber(pasts(past)[2]) >= tonumber(spec[4]) and 'exhausted' or ''
    local pod = why ~= '' and '' or book.take(holder)
    if not pod then return false end
    unqueued = unqueued + 1
    fewer[flow] = (fewer[flow] or 0) + 1
    if not was[1] then return true end
    local begins, input, n, m = start(past, spec, pod), why == '' and was[2] or '', #claimed, #begun
    begun[m + 1], begun[m + 2] = id, begins[2] .. (was[5] and '1|' or '0|') .. (was[6] or '')
    local s3 = why == '' and was[4] or ''
    bytes = bytes + #input + #s3
    claimed[n + 1], claimed[n + 2], claimed[n + 3] = id, begins[1] .. why .. '|' .. spec[5] .. '|' .. queued .. '|' .. s3, input
    return true
  end

  local function keep()
    if unqueued > 0 then redis.call('HINCRBY', k.meta, 'queued', -unqueued) end
    if #begun > 0 then redis.call('HSET', k.running, unpack(begun)) end
    for flow, n in pairs(fewer) do
      if redis.call('HINCRBY', k.flows, flow, -n) <= 0 then redis.call('HDEL', k.flows, flow) end
    end
    return claimed
  end

  return { take = take, keep = keep, bytes = function() return bytes end }
end
