#!lua flags=allow-oom
-- pod-take: makes a host the owner of a running pod whose host is lost. Of several hosts, one succeeds.
-- KEYS    pods  hash pod -> record
-- ARGV    pod · record  with the new host · lost  the host that must own it now
-- RETURN  1, or 0 when the pod has no record or another owner
local pods = KEYS[1]
local pod, record, lost = ARGV[1], ARGV[2], ARGV[3]

local stored = redis.call('HGET', pods, pod)
if not stored or cjson.decode(stored).hostId ~= lost then return 0 end
redis.call('HSET', pods, pod, record)
return 1
