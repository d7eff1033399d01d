#!lua flags=allow-oom
-- pod-put: a pod's host writes what has become of it.
-- KEYS    pods  hash pod -> record
-- ARGV    pod · record
-- RETURN  1, or 0 when nobody knows the pod any more: it was buried, and stays so
local pods = KEYS[1]
local pod, record = ARGV[1], ARGV[2]

if redis.call('HEXISTS', pods, pod) == 0 then return 0 end
redis.call('HSET', pods, pod, record)
return 1
