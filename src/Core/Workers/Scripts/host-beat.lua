#!lua flags=allow-oom
-- host-beat: a host lives on, or (lease 0) ends.
-- KEYS    hosts  sorted set host -> expiry (unix ms)
-- ARGV    host · lease_ms
-- RETURN  the hosts that live
local hosts = KEYS[1]
local host, lease_ms = ARGV[1], tonumber(ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', hosts, '-inf', now)
if lease_ms > 0 then redis.call('ZADD', hosts, now + lease_ms, host) else redis.call('ZREM', hosts, host) end
return redis.call('ZRANGE', hosts, 0, -1)
