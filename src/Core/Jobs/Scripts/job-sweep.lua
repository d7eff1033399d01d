#!lua flags=allow-oom
-- job-sweep: take away the data of jobs whose retention ended; what is left tells that there was one. And find overdue tickets.
-- KEYS    queue  sorted set ticket entry -> start tag · expiry  sorted set ended job -> when its data goes (unix ms) ·
--         index  list of jobs as they came · late  sorted set job that outlived some that came after it -> submitted · dead  sorted set dead-letter job -> ended ·
--         log  sorted set delivery -> made · jobs  prefix of job hashes · hooks  prefix of delivery hashes ·
--         gone  hash job -> what is left of it (see buried) · gone_before  the same of earlier jobs
-- ARGV    max  jobs, tickets and deliveries to look at in one call · tomb_ms  what is left is kept for at least half of this, unless · most_tombs  are
--         more than this (the newer half of them stays) · rank  where in the queue to look for overdue tickets · log_ms  how long deliveries are remembered
-- RETURN  {jobs swept, [value of input and output, ..] of those jobs that are references, [overdue job, ..], next rank or 0}
-- A job's place in index goes when it is the first one: for each job swept here one goes, and what still has its data moves to late.
local queue, expiry, index, late = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dead, log, jobs, hooks, gone, gone_before = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local max, tomb_ms, most_tombs, rank, log_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', expiry, '-inf', now, 'LIMIT', 0, max)
local references, overdue, swept, keys, tombs, at = {}, {}, {}, {}, {}, string.format('%d', now)
for _, id in ipairs(due) do
  local job = jobs .. id
  local was = redis.call('HMGET', job, 'input', 'output', 'spec', 'waits', 'past', 'end', 'ran', 'error', 'chunk_bytes')
  for i = 1, 2 do
    if was[i] and string.sub(was[i], 1, 1) == '@' then references[#references + 1] = was[i] end
  end
  if was[3] then
    local n = #tombs
    tombs[n + 1] = id
    tombs[n + 2] = cmsgpack.pack(was[3], was[4], was[5], was[6], was[7], was[8] and string.match(was[8], '^[^|]*|%d|'), at)
    if was[9] then keys[#keys + 1] = job .. ':chunks' end
  end
  swept[id] = true
  keys[#keys + 1] = job
end
if #due > 0 then
  redis.call('UNLINK', unpack(keys))
  redis.call('ZREMRANGEBYRANK', expiry, 0, #due - 1)
  for _, few in ipairs({ late, dead }) do
    if redis.call('EXISTS', few) == 1 then redis.call('ZREM', few, unpack(due)) end
  end
  for _, id in ipairs(redis.call('LPOP', index, #due) or {}) do
    -- Builds before this one left swept jobs as hashes with the field expired, for a week.
    local was = swept[id] and {} or redis.call('HMGET', jobs .. id, 'waits', 'expired')
    if was[1] and not was[2] then redis.call('ZADD', late, string.match(was[1], '^%d+'), id) end
  end
end
if #tombs > 0 then
  local since = redis.call('HGET', gone, '|since')
  if since and (now - since > tomb_ms / 2 or redis.call('HLEN', gone) > most_tombs / 2) then
    redis.call('UNLINK', gone_before)
    redis.call('RENAME', gone, gone_before)
    since = nil
  end
  redis.call('HSET', gone, unpack(tombs))
  if not since then
    redis.call('HSET', gone, '|since', at)
    redis.call('PEXPIRE', gone, tomb_ms)
  end
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
