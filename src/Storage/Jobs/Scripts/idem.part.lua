-- idempotency (part): maps Idempotency-Keys to jobs. k: idem, jobs, expired, expired_before, and stored: a table of the
-- jobs that this call stores, whose records are written at its end. A request is "key|digest of the body". known()
-- returns 'same' or 'conflict' (the body of the job differs) and the job, or nothing; remember() stores the key of a
-- new job.
local function idempotency(k)
  local function parts(request) return string.match(request, '^([^|]+)|(.*)$') end

  -- A key is valid while any record of its job exists: a client that repeats a request must not get the id of a job
  -- that does not exist.
  local function is_known(id)
    if k.stored[id] then return true end
    for _, hash in ipairs({ k.jobs, k.expired, k.expired_before }) do
      if redis.call('HEXISTS', hash, id) == 1 then return true end
    end
  end

  local function known(request)
    local key, digest = parts(request)
    local first, body = parts(redis.call('GET', k.idem .. key) or '')
    if first and is_known(first) then return body == digest and 'same' or 'conflict', first end
  end

  local function remember(request, id, ms)
    local key, digest = parts(request)
    redis.call('SET', k.idem .. key, id .. '|' .. digest, 'PX', ms)
  end

  return { known = known, remember = remember }
end
