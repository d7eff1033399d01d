#!lua flags=allow-oom
-- pod-put: stores the current record of a pod. Its host writes it, or the host that takes it over from a lost one: of
-- several, one succeeds.
-- KEYS    pods  hash pod -> record
-- ARGV    pod · record · owner  the host that must own the pod now
-- RETURN  1, or 0 when the pod has no record (it was removed, and is not created again) or another owner
local pods = KEYS[1]
local pod, record, owner = ARGV[1], ARGV[2], ARGV[3]

local stored = redis.call('HGET', pods, pod)
if not stored or cjson.decode(stored).hostId ~= owner then return 0 end
redis.call('HSET', pods, pod, record)
return 1
