#!lua flags=allow-oom
-- host-beat: renews the lease of a host, or (lease 0) ends it.
-- KEYS    hosts  sorted set host -> expiry (unix ms)
-- ARGV    host · lease_ms
-- RETURN  the hosts with a valid lease
local hosts = KEYS[1]
local host, lease_ms = ARGV[1], tonumber(ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', hosts, '-inf', now)
if lease_ms > 0 then redis.call('ZADD', hosts, now + lease_ms, host) else redis.call('ZREM', hosts, host) end
return redis.call('ZRANGE', hosts, 0, -1)
