#!lua flags=allow-oom
-- limit-keep: keeps the entry of a request that still runs, of a key with a limit of concurrent requests.
-- KEYS    flight  sorted set request -> end (unix ms)
-- ARGV    request · flight_ms  until it is not counted any more, unless this is called again
-- RETURN  1, or 0 when it was not counted any more
local flight = KEYS[1]
local request, flight_ms = ARGV[1], tonumber(ARGV[2])

local time = redis.call('TIME')
local till = time[1] * 1000 + math.floor(time[2] / 1000) + flight_ms
if not redis.call('ZSCORE', flight, request) then return 0 end
redis.call('ZADD', flight, till, request)
redis.call('PEXPIRE', flight, flight_ms)
return 1
