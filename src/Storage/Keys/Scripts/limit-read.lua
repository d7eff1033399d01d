#!lua flags=no-writes
-- limit-read: what the limits of a key allow now. It uses neither limit.
-- KEYS    rate  string, theoretical arrival time of the next request (unix us) ·
--         flight  sorted set request -> end (unix ms)
-- ARGV    interval_us  between two requests at the steady rate; 0: no limit · burst  requests that may arrive together
-- RETURN  {requests possible now, ms until the rate is whole again, running requests of a key with a limit of them}
local rate, flight = KEYS[1], KEYS[2]
local interval_us, burst = tonumber(ARGV[1]), tonumber(ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local left, whole = burst, 0
if interval_us > 0 then
  local arrival = math.max(now, tonumber(redis.call('GET', rate) or 0))
  left = math.max(0, math.floor((now - arrival) / interval_us + burst))
  whole = math.ceil((arrival - now) / 1000)
end
return { left, whole, redis.call('ZCOUNT', flight, '(' .. math.floor(now / 1000), '+inf') }
