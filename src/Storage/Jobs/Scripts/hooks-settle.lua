#!lua flags=allow-oom
-- hooks-settle: store the result of a delivery attempt, and the time of the next attempt.
-- KEYS    outbox  sorted set delivery -> next attempt (Unix ms) · hook  hash, the delivery
-- ARGV    delivery · try · next_ms  from now; '': there is no next attempt · state  pending, delivered or failed ·
--         note  line of the log
-- RETURN  1, or 0 when another attempt has been leased since
local outbox, hook = KEYS[1], KEYS[2]
local delivery, try, next_ms, state, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local was = redis.call('HMGET', hook, 'tries', 'log')
if was[1] ~= try then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', hook, 'state', state, 'log', (was[2] or '') .. string.format('%d|%s\n', now, note))
if next_ms == '' then
  redis.call('ZREM', outbox, delivery)
  redis.call('HDEL', hook, 'next')
else
  redis.call('ZADD', outbox, now + tonumber(next_ms), delivery)
  redis.call('HSET', hook, 'next', now + tonumber(next_ms))
end
return 1
