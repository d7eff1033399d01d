-- overdue_data, entomb (part): jobs whose data is to go, by calls that ended them: at least max of them where there are so many, when each ended (text,
-- with a bar), and the number of those calls. A job that was retried since has another end, or none. And what is left of them is put away.
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

-- What jobs that go counted. With the last job the count of one whose text was spoilt goes too.
local function uncount(asked, bytes, large, ids, texts, results, streams)
  local counted = counting(bytes)
  for i, id in ipairs(ids) do
    if texts[i] then counted.add(flow_of(texts[i]), -job_bytes(large, id, texts[i], results[i], streams[i])) end
  end
  counted.keep()
  if redis.call('HLEN', asked) == #ids then redis.call('DEL', bytes) end
end

local function entomb(gone, gone_before, tombs, now, tomb_ms, most_tombs)
  local since = redis.call('HGET', gone, '|since')
  if since and (now - since > tomb_ms / 2 or redis.call('HLEN', gone) > most_tombs / 2) then
    redis.call('UNLINK', gone_before)
    redis.call('RENAME', gone, gone_before)
    since = nil
  end
  redis.call('HSET', gone, unpack(tombs))
  if not since then
    redis.call('HSET', gone, '|since', string.format('%d', now))
    redis.call('PEXPIRE', gone, tomb_ms)
  end
end
