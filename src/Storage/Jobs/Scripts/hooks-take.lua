#!lua flags=allow-oom
-- hooks-take: lease webhook deliveries that are due. When the lease of a delivery expires, it is due again.
-- KEYS    outbox  sorted set delivery -> next attempt (Unix ms) · hooks  prefix of delivery hashes
-- ARGV    max · lease_ms
-- RETURN  {[delivery, job, url, try, made (Unix ms), ..], [delivery, ..] that are due but cannot be read}
local outbox, hooks = KEYS[1], KEYS[2]
local max, lease_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken, unreadable = {}, {}
for _, delivery in ipairs(redis.call('ZRANGEBYSCORE', outbox, '-inf', now, 'LIMIT', 0, max)) do
  local hook = hooks .. delivery
  if redis.call('EXISTS', hook) == 0 then
    redis.call('ZREM', outbox, delivery)
  else
    -- A delivery that cannot be read is due again after the lease, and does not stop the other deliveries.
    redis.call('ZADD', outbox, now + lease_ms, delivery)
    local try = redis.pcall('HINCRBY', hook, 'tries', 1)
    local was = type(try) == 'number' and redis.call('HMGET', hook, 'job', 'url', 'made') or {}
    if was[1] and was[2] and was[3] then
      for _, value in ipairs({ delivery, was[1], was[2], try, was[3] }) do taken[#taken + 1] = value end
    else unreadable[#unreadable + 1] = delivery end
  end
end
return { taken, unreadable }
