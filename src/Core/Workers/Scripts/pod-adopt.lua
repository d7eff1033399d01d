#!lua flags=allow-oom
-- pod-adopt: a host brings back a pod that runs and that Redis does not know (any more).
-- KEYS    pods  hash pod -> record
-- ARGV    pod · record · fingerprint  of its declaration · max
-- RETURN  1 when it is known now, 0 when there is no room for it: it is to be stopped
local pods = KEYS[1]
local pod, record, fingerprint, max = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
-- include: pod-room

if redis.call('HEXISTS', pods, pod) == 0 and not hasroom(pods, fingerprint, max) then return 0 end
redis.call('HSET', pods, pod, record)
return 1
