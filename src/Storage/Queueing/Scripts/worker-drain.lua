#!lua flags=allow-oom
-- worker-drain: stop granting slots of a worker. Slots in use stay valid until they are returned.
-- KEYS    free  sorted set ready pod -> free slots
-- ARGV    pod · endpoint
-- RETURN  1 when the worker was ready, 0 when it was not
-- Gateways are notified on 'sluice:dispatch', so that they return their idle slots.
local free = KEYS[1]
local pod, endpoint = ARGV[1], ARGV[2]

local removed = redis.call('ZREM', free, pod)
if removed == 1 then redis.call('PUBLISH', 'sluice:dispatch', 'drain|' .. endpoint .. '|' .. pod) end
return removed
