#!lua flags=allow-oom
-- limit: whether one more request of a key may go, by its rate (GCRA: the ATM Forum's generic cell rate algorithm, one
-- number a key) and by its concurrent requests. A rejected request uses neither limit.
-- KEYS    rate  string, theoretical arrival time of the next request (unix us) ·
--         flight  sorted set request -> end (unix ms)
-- ARGV    interval_us  between two requests at the steady rate; 0: no limit ·
--         burst  requests that may arrive together · concurrent  0: no limit ·
--         request  its id; '': it does not stay · flight_ms  after which a request without an end is not counted
-- RETURN  {allowed 1 or 0, 'rate' or 'concurrent' or '', requests left now, ms until the rate is whole again, retry
--         after ms}
local rate, flight = KEYS[1], KEYS[2]
local interval_us, burst, concurrent = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local request, flight_ms = ARGV[4], tonumber(ARGV[5])

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local now_ms = math.floor(now / 1000)
if concurrent > 0 and request ~= '' then
  redis.call('ZREMRANGEBYSCORE', flight, '-inf', now_ms)
  if redis.call('ZCARD', flight) >= concurrent then return { 0, 'concurrent', 0, 0, 1000 } end
end
local left, whole = burst, 0
if interval_us > 0 then
  local arrival = math.max(now, tonumber(redis.call('GET', rate) or 0))
  local allowed_at = arrival - interval_us * (burst - 1)
  if now < allowed_at then
    return { 0, 'rate', 0, math.ceil((arrival - now) / 1000), math.ceil((allowed_at - now) / 1000) }
  end
  arrival = arrival + interval_us
  whole = math.ceil((arrival - now) / 1000)
  left = math.floor((now - arrival) / interval_us + burst)
  redis.call('SET', rate, string.format('%d', arrival), 'PX', whole + 1)
end
if concurrent > 0 and request ~= '' then
  redis.call('ZADD', flight, now_ms + flight_ms, request)
  redis.call('PEXPIRE', flight, flight_ms)
end
return { 1, '', left, whole, 0 }
