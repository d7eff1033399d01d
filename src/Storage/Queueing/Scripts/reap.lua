#!lua flags=allow-oom
-- reap: end expired leases and revoke grants that were not accepted. Their slots become free, and their jobs are queued
-- again.
-- KEYS    leases  sorted set holder -> lease expiry (Unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         grants  hash ticket entry -> "holder|pod|Unix ms" · busy  hash holder -> requests ·
--         meta  hash seq, queued, retried, reaped, patient · running  hash running job -> its run (see jobstate) ·
--         flows  hash flow -> queued jobs · jobs  hash job -> its submission ·
--         retries  hash job that was queued again -> its previous attempts ·
--         watchers  hash queued job -> gateways to notify · capacity  hash pod -> slots ·
--         token_capacity  hash pod -> how many tokens it can hold · tokens  hash tokens in flight (see room)
-- ARGV    accept_ms  how long a grant may stay unaccepted · gap_ms  the longest normal time between two calls ·
--         lease_ms  the grace period after a longer gap
-- RETURN  {leases ended, slots freed, tickets dropped, jobs queued again,
--         1 when leases, grants, tickets or running jobs are left}
-- After a gap (Redis was paused), every lease looks expired. The holders get the length of one lease to renew first.
local leases, held, free = KEYS[1], KEYS[2], KEYS[3]
local queue, grants, busy, meta = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local running, flows, jobs, retries, watchers, capacity = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local token_capacity, tokens = KEYS[14], KEYS[15]
local accept_ms, gap_ms, lease_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- include: jobstate
-- include: isolated
-- include: room
-- include: free
-- include: requeue

local function is_open()
  return redis.call('EXISTS', leases, queue, grants, running) > 0 and 1 or 0
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reaped = tonumber(redis.call('HGET', meta, 'reaped') or now)
redis.call('HSET', meta, 'reaped', now)
if gap_ms > 0 and now - reaped > gap_ms then redis.call('HSET', meta, 'patient', now + lease_ms) end
if tonumber(redis.call('HGET', meta, 'patient') or 0) > now then return { 0, 0, 0, 0, is_open() } end

local ended, freed, dropped, requeued = redis.call('ZRANGEBYSCORE', leases, '-inf', now), 0, 0, 0
local dead = {}
for _, holder in ipairs(ended) do dead[holder] = true end

local open = redis.call('HGETALL', grants)
for i = 1, #open, 2 do
  local owner, pod, at = string.match(open[i + 1], '^([^|]+)|([^|]+)|(%d+)$')
  if dead[owner] then redis.call('HDEL', grants, open[i])
  elseif tonumber(at) + accept_ms <= now then
    redis.call('HDEL', grants, open[i])
    freed = freed + give_back(held, free, owner, pod, slots_of(open[i], capacity, pod), tokens,
      charge(redis.call('HGET', token_capacity, pod), tokens_of(open[i])))
  end
end
if #ended > 0 then
  local fields = redis.call('HGETALL', held)
  for i = 1, #fields, 2 do
    local owner, pod = string.match(fields[i], '^([^|]+)|(.+)$')
    if dead[owner] then
      redis.call('HDEL', held, fields[i])
      if redis.call('ZSCORE', free, pod) then redis.call('ZINCRBY', free, fields[i + 1], pod) end
      freed = freed + tonumber(fields[i + 1])
    end
  end
  for _, field in ipairs(redis.call('HKEYS', tokens)) do
    local owner, pod = string.match(field, '^([^|]+)|(.+)$')
    if dead[owner] then add_tokens(tokens, owner, pod, -2 ^ 53) end
  end
  for _, entry in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
    if dead[string.match(entry, '^%d+|([^|]+)|')] then dropped = dropped + redis.call('ZREM', queue, entry) end
  end
  redis.call('ZREM', leases, unpack(ended))
  redis.call('HDEL', busy, unpack(ended))
end
local at_work = redis.call('HGETALL', running)
for i = 1, #at_work, 2 do
  if not redis.call('ZSCORE', leases, string.match(at_work[i + 1], '^[^|]+')) then
    requeue({ running = running, flows = flows, queue = queue, meta = meta, jobs = jobs, retries = retries,
      watchers = watchers },
      at_work[i], at_work[i + 1], now, 'gateway lost', 'gateway')
    requeued = requeued + 1
  end
end
return { #ended, freed, dropped, requeued, is_open() }
