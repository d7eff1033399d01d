#!lua flags=allow-oom
-- worker-drain: grant no more slots of a worker; those in use stay valid until they are given back.
-- KEYS    free  sorted set ready pod -> free slots
-- ARGV    pod · endpoint
-- RETURN  1 when it was ready, 0 when it was not
-- Gateways are told on 'sluice:dispatch', so that they give back what they hold idle.
local free = KEYS[1]
local pod, endpoint = ARGV[1], ARGV[2]

local removed = redis.call('ZREM', free, pod)
if removed == 1 then redis.call('PUBLISH', 'sluice:dispatch', 'drain|' .. endpoint .. '|' .. pod) end
return removed
