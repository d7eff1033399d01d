#!lua flags=allow-oom
-- order-take: ends the open order of a pod for its host, which starts the pod then. Of this and order-withdraw, one
-- succeeds.
-- KEYS    pods  hash pod -> record · orders  hash pod -> end of its open order (unix ms)
-- ARGV    pod · record  without the order · owner  the host that takes it
-- RETURN  1, or 0 when the order has ended, was withdrawn, or is one of another host
local pods, orders = KEYS[1], KEYS[2]
local pod, record, owner = ARGV[1], ARGV[2], ARGV[3]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local valid_until, stored = redis.call('HGET', orders, pod), redis.call('HGET', pods, pod)
if not valid_until or not stored or now >= tonumber(valid_until) then return 0 end
if cjson.decode(stored).hostId ~= owner then return 0 end
redis.call('HDEL', orders, pod)
redis.call('HSET', pods, pod, record)
return 1
