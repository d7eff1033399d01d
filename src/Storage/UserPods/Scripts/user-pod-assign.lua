#!lua flags=allow-oom
-- user-pod-assign: assigns a pod to a node, where it stays: its volume is there.
-- KEYS    lease  string, the controller of the node · declared  hash pod -> revision, line feed, JSON ·
--         assigned  hash pod -> node · version  string that changes with each change
-- ARGV    token  of the controller · pod · node · next  the new version, random
-- RETURN  the node that the pod is assigned to; '' if another controller has the lease or the pod does not exist
local lease, declared, assigned, version = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, pod, node, next = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if redis.call('GET', lease) ~= token or redis.call('HEXISTS', declared, pod) == 0 then return '' end
local before = redis.call('HGET', assigned, pod)
if before then return before end
redis.call('HSET', assigned, pod, node)
redis.call('SET', version, next)
redis.call('PUBLISH', 'sluice:userpods', pod)
return node
