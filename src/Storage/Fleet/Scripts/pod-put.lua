#!lua flags=allow-oom
-- pod-put: stores the current record of a pod, written by its host.
-- KEYS    pods  hash pod -> record
-- ARGV    pod · record
-- RETURN  1, or 0 when the pod has no record: it was removed, and is not created again
local pods = KEYS[1]
local pod, record = ARGV[1], ARGV[2]

if redis.call('HEXISTS', pods, pod) == 0 then return 0 end
redis.call('HSET', pods, pod, record)
return 1
