#!lua flags=allow-oom
-- worker-up: add the slots of a ready worker to dispatch (again, if it was draining).
-- KEYS    workers  hash pod -> address (JSON) · capacity  hash pod -> slots ·
--         free  sorted set ready pod -> free slots · held  hash "holder|pod" -> slots ·
--         token_capacity  hash pod -> how many tokens it can hold (see room)
-- ARGV    pod · address · slots · room  how many tokens it can hold; '' when it does not say
-- RETURN  1 when slots were added, 0 when the worker was up already
-- Slots that gateways still hold (the worker was draining) stay counted: free + held = capacity.
local workers, capacity, free, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token_capacity = KEYS[5]
local pod, address, slots, room = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

if redis.call('ZSCORE', free, pod) then return 0 end
local fields, out = redis.call('HGETALL', held), 0
for i = 1, #fields, 2 do
  if string.match(fields[i], '|(.+)$') == pod then out = out + tonumber(fields[i + 1]) end
end
redis.call('HSET', workers, pod, address)
redis.call('HSET', capacity, pod, slots)
if room ~= '' then redis.call('HSET', token_capacity, pod, room) else redis.call('HDEL', token_capacity, pod) end
redis.call('ZADD', free, slots - out, pod)
return 1
