#!lua flags=allow-oom
-- reap: end the leases that ran out and take back grants that nobody accepted; their slots become free.
-- KEYS    leases  sorted set holder -> lease expiry (unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         grants  hash ticket entry -> "holder|pod|unix ms" · busy  hash holder -> requests
-- ARGV    accept_ms  how long a grant may wait to be accepted
-- RETURN  {leases ended, slots freed, tickets dropped}
local leases, held, free = KEYS[1], KEYS[2], KEYS[3]
local queue, grants, busy = KEYS[4], KEYS[5], KEYS[6]
local accept_ms = tonumber(ARGV[1])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ended, freed, dropped = redis.call('ZRANGEBYSCORE', leases, '-inf', now), 0, 0
local dead = {}
for _, holder in ipairs(ended) do dead[holder] = true end

local open = redis.call('HGETALL', grants)
for i = 1, #open, 2 do
  local owner, pod, at = string.match(open[i + 1], '^([^|]+)|([^|]+)|(%d+)$')
  if dead[owner] then redis.call('HDEL', grants, open[i])
  elseif tonumber(at) + accept_ms <= now then
    local field = owner .. '|' .. pod
    redis.call('HDEL', grants, open[i])
    if redis.call('HEXISTS', held, field) == 1 then
      if redis.call('HINCRBY', held, field, -1) == 0 then redis.call('HDEL', held, field) end
      if redis.call('ZSCORE', free, pod) then redis.call('ZINCRBY', free, 1, pod) end
      freed = freed + 1
    end
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
  for _, entry in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
    if dead[string.match(entry, '^%d+|([^|]+)|')] then dropped = dropped + redis.call('ZREM', queue, entry) end
  end
  redis.call('ZREM', leases, unpack(ended))
  redis.call('HDEL', busy, unpack(ended))
end
return { #ended, freed, dropped }
