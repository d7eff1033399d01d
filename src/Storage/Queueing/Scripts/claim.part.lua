-- claiming (part, after room, take and jobstate): claims queued jobs for a holder. Each job books a slot; a job that is
-- past its deadline or out of attempts books none.
-- k: jobs, retries, watchers, blobs, running, flows, meta. token: the token for the fences of these claims.
-- read() reads n jobs in one step. take() claims one of them, and returns false when no slot is free. Its argument
-- pick() books the slot and its tokens; how ('' or 'isolated') is the why of a job that runs. bytes() returns the size
-- of the claimed inputs. keep() writes the collected changes and returns [job, "attempt|pod|why|timeout ms|queued Unix
-- ms|tokens|flow|s3", input, ..].
local NO_SPEC = '1|0|0|0|0|0|'

local function claiming(k, holder, at, token)
  local specs, pasts, weights, starts = apart(SPEC), apart('^(%d+)|(%d+)'), apart(WEIGHT), {}
  local claimed, unqueued, begun, notified, fewer, bytes = {}, 0, {}, {}, {}, 0
  local jobs, retries, watchers

  -- Fields that few jobs have are read only if any job has them.
  local function few(key, ids, n)
    return redis.call('EXISTS', key) == 1 and redis.call('HMGET', key, unpack(ids, 1, n)) or {}
  end

  local function read(ids, n)
    jobs, retries, watchers =
      redis.call('HMGET', k.jobs, unpack(ids, 1, n)), few(k.retries, ids, n), few(k.watchers, ids, n)
  end

  -- The shared part of claims of one pod whose jobs have the same previous attempts and spec: the beginning of their
  -- result texts, and of their entries in running.
  local function start(before, spec, pod)
    local key = pod .. '\n' .. before
    local known = starts[spec] or {}
    starts[spec] = known
    if not known[key] then
      local attempt, runs = unpack(pasts(before))
      attempt = string.format('%d', attempt + 1)
      known[key] = {
        attempt .. '|' .. pod .. '|',
        string.format('%s|%s|%s|%s|%d|%s|', holder, tofence(attempt, token), pod, at,
          pod ~= '' and runs + 1 or runs, spec[6]) }
    end
    return known[key]
  end

  -- Claims the job at index i of the jobs that were read.
  local function take(i, id, flow, late, queued, pick, how)
    local text, webhook, s3, input = string.match(jobs[i] or '', SUBMISSION)
    local before, spec = past(retries[i]), specs(text or NO_SPEC)
    -- A submission that cannot be parsed is treated as a missing one: its ticket is dropped.
    if not spec[1] then text, spec = nil, specs(NO_SPEC) end
    local why = late and 'expired' or tonumber(pasts(before)[2]) >= tonumber(spec[4]) and 'exhausted' or ''
    local pod, charged = '', 0
    if why == '' then pod, charged = pick(holder, tonumber(weights(spec[1])[2]) or 0) end
    if not pod then return false end
    unqueued = unqueued + 1
    fewer[flow] = (fewer[flow] or 0) + 1
    if not text then return true end
    local begins, n, m, gateways = start(before, spec, pod), #claimed, #begun, watchers[i] or ''
    if gateways ~= '' then notified[#notified + 1] = id end
    begun[m + 1], begun[m + 2] =
      id, begins[2] .. ((webhook ~= '' and 1 or 0) + (input == '@' and 2 or 0)) .. '|' .. gateways
    if why ~= '' then input, s3 = '', ''
    elseif input == '@' then input = redis.call('HGET', k.blobs, id .. '|in') or '' end
    bytes = bytes + #input + #s3
    claimed[n + 1], claimed[n + 2], claimed[n + 3] = id,
      begins[1] .. (why ~= '' and why or how) .. '|' .. spec[5] .. '|' .. queued .. '|'
        .. string.format('%d', charged or 0) .. '|' .. flow .. '|' .. s3, input
    return true
  end

  local function keep()
    if unqueued > 0 then redis.call('HINCRBY', k.meta, 'queued', -unqueued) end
    if #begun > 0 then redis.call('HSET', k.running, unpack(begun)) end
    if #notified > 0 then redis.call('HDEL', k.watchers, unpack(notified)) end
    for flow, n in pairs(fewer) do
      if redis.call('HINCRBY', k.flows, flow, -n) <= 0 then redis.call('HDEL', k.flows, flow) end
    end
    return claimed
  end

  return { read = read, take = take, keep = keep, bytes = function() return bytes end }
end
