#!lua flags=allow-oom
-- pod-adopt: restores the record of a running pod that Redis has lost.
-- KEYS    pods  hash pod -> record
-- ARGV    pod · record · fingerprint  of its declaration · max
-- RETURN  1 when the record exists now, 0 when the endpoint has no room for the pod, which must stop
local pods = KEYS[1]
local pod, record, fingerprint, max = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
-- include: pod-room

if redis.call('HEXISTS', pods, pod) == 0 and not hasroom(pods, fingerprint, max) then return 0 end
redis.call('HSET', pods, pod, record)
return 1
