-- overdue_data, uncount, keep_expired (part): overdue_data() returns the jobs whose data must be deleted, grouped by
-- the calls that ended them (at least max jobs, if there are so many), when each ended (text, with a bar), and the
-- number of these calls. A job that was retried since then has a different end, or none. keep_expired() stores the
-- records of deleted jobs.
local function overdue_data(expiry, now, max)
  local jobs, ended, looked = {}, {}, 0
  while #jobs < max do
    local groups = redis.call('ZRANGEBYSCORE', expiry, '-inf', now, 'LIMIT', looked, 8)
    for _, group in ipairs(groups) do
      local at, ids = string.match(group, '^(%d+|)(.*)$')
      for id in string.gmatch(ids or '', '[^,]+') do jobs[#jobs + 1] = id; ended[#jobs] = at end
      looked = looked + 1
      if #jobs >= max then break end
    end
    if #groups < 8 then break end
  end
  return jobs, ended, looked
end

-- Subtracts the bytes of deleted jobs. When the last job is deleted, the count of a job whose text was corrupted is
-- deleted too.
local function uncount(jobs, bytes, blobs, ids, texts, results, streams)
  local counted = counting(bytes)
  for i, id in ipairs(ids) do
    if texts[i] then counted.add(flow_of(texts[i]), -job_bytes(blobs, id, texts[i], results[i], streams[i])) end
  end
  counted.keep()
  if redis.call('HLEN', jobs) == #ids then redis.call('DEL', bytes) end
end

local function keep_expired(expired, expired_before, records, now, expired_ms, most_expired)
  local since = redis.call('HGET', expired, '|since')
  if since and (now - since > expired_ms / 2 or redis.call('HLEN', expired) > most_expired / 2) then
    redis.call('UNLINK', expired_before)
    redis.call('RENAME', expired, expired_before)
    since = nil
  end
  redis.call('HSET', expired, unpack(records))
  if not since then
    redis.call('HSET', expired, '|since', string.format('%d', now))
    redis.call('PEXPIRE', expired, expired_ms)
  end
end
