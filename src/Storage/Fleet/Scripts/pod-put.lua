#!lua flags=allow-oom
-- pod-put: stores the current record of a pod, written by its host.
-- KEYS    pods  hash pod -> record
-- ARGV    pod · record · host  that writes it
-- RETURN  1, or 0 when the pod has no record (it was removed, and is not created again) or belongs to another host
local pods = KEYS[1]
local pod, record, host = ARGV[1], ARGV[2], ARGV[3]

local stored = redis.call('HGET', pods, pod)
if not stored or cjson.decode(stored).hostId ~= host then return 0 end
redis.call('HSET', pods, pod, record)
return 1
