-- idempotency (part): which job an Idempotency-Key stands for. k: idem, asked, gone, gone_before. A wish is "key|digest of the body". known() gives 'same'
-- or 'conflict' (the job's body was another) and the job, or nothing; remember() is for a job that is stored now.
local function idempotency(k)
  local function parts(wish) return string.match(wish, '^([^|]+)|(.*)$') end

  -- A key stands for a job as long as anything is known of it: who repeats a request is not told of a job that is not there.
  local function is_known(id)
    for _, hash in ipairs({ k.asked, k.gone, k.gone_before }) do
      if redis.call('HEXISTS', hash, id) == 1 then return true end
    end
  end

  local function known(wish)
    local key, digest = parts(wish)
    local first, body = parts(redis.call('GET', k.idem .. key) or '')
    if first and is_known(first) then return body == digest and 'same' or 'conflict', first end
  end

  local function remember(wish, id, ms)
    local key, digest = parts(wish)
    redis.call('SET', k.idem .. key, id .. '|' .. digest, 'PX', ms)
  end

  return { known = known, remember = remember }
end
