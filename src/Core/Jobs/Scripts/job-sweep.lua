#!lua flags=allow-oom
-- job-sweep: take away the data of jobs whose retention ended; what is left tells that there was one. And find overdue tickets.
-- KEYS    queue  sorted set ticket entry -> start tag · expiry  sorted set ended job -> when its data goes (unix ms) ·
--         index  list of jobs as they came · late  sorted set job that outlived some that came after it -> submitted · dead  sorted set dead-letter job -> ended ·
--         log  sorted set delivery -> made · jobs  prefix of job hashes · hooks  prefix of delivery hashes
-- ARGV    max  jobs, tickets and deliveries to look at in one call · tombstone_ms  how long the rest is kept ·
--         rank  where in the queue to look for overdue tickets · log_ms  how long deliveries are remembered
-- RETURN  {jobs swept, [value of input and output, ..] of those jobs that are references, [overdue job, ..], next rank or 0}
-- A job's place in index goes when it is the first one: for each job swept here one goes, and what still has its data moves to late.
local queue, expiry, index, late = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dead, log, jobs, hooks = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local max, tombstone_ms, rank, log_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due, references, overdue = redis.call('ZRANGEBYSCORE', expiry, '-inf', now, 'LIMIT', 0, max), {}, {}
for _, id in ipairs(due) do
  local job = jobs .. id
  local was = redis.call('HMGET', job, 'input', 'output', 'error')
  for i = 1, 2 do
    if was[i] and string.sub(was[i], 1, 1) == '@' then references[#references + 1] = was[i] end
  end
  redis.call('HDEL', job, 'input', 'output', 's3', 'lost', 'webhook', 'watchers')
  if was[3] then redis.call('HSET', job, 'error', string.match(was[3], '^[^|]*|%d|')) end
  redis.call('DEL', job .. ':chunks')
  if redis.call('EXISTS', job) == 1 then redis.call('HSET', job, 'expired', now) end
  redis.call('PEXPIRE', job, tombstone_ms)
  redis.call('ZREM', expiry, id)
  redis.call('ZREM', late, id)
  redis.call('ZREM', dead, id)
end
for _, id in ipairs(#due > 0 and redis.call('LPOP', index, #due) or {}) do
  local was = redis.call('HMGET', jobs .. id, 'expired', 'waits')
  if was[2] and not was[1] then redis.call('ZADD', late, string.match(was[2], '^%d+'), id) end
end
local entries = redis.call('ZRANGE', queue, rank, rank + max - 1)
for _, entry in ipairs(entries) do
  local owner, id, deadline = string.match(entry, '^%d+|([^|]+)|([^|]+)|%d+|(%d+)|')
  if owner == 'job' and tonumber(deadline) <= now then overdue[#overdue + 1] = id end
end
for _, delivery in ipairs(redis.call('ZRANGEBYSCORE', log, '-inf', now - log_ms, 'LIMIT', 0, max)) do
  redis.call('DEL', hooks .. delivery)
  redis.call('ZREM', log, delivery)
end
return { #due, references, overdue, #entries == max and rank + max or 0 }
