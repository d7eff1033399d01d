#!lua flags=allow-oom
-- hooks-again: deliver a webhook again, now, with a new retry schedule.
-- KEYS    outbox  sorted set delivery -> next attempt (Unix ms) · hook  hash, the delivery
-- ARGV    delivery
-- RETURN  1, or 0 when the delivery is not known (any more)
local outbox, hook = KEYS[1], KEYS[2]
local delivery = ARGV[1]

if redis.call('EXISTS', hook) == 0 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', hook, 'state', 'pending', 'tries', 0, 'next', now)
redis.call('ZADD', outbox, now, delivery)
return 1
