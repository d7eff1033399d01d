#!lua flags=allow-oom
-- user-pod-forget: deletes the records of a terminated pod whose container and volume are deleted.
-- KEYS    lease  string, the controller of the node · declared  hash pod -> revision, line feed, JSON ·
--         observed  hash pod -> JSON · assigned  hash pod -> node · active  hash pod -> unix ms ·
--         version  string that changes with each change · events  list of the pod's events ·
--         used  hash pod -> JSON
-- ARGV    token  of the controller · pod · expected  the revision that was terminated · next  the new version, random
-- RETURN  1; 0 if another controller has the lease or the pod has another revision
local lease, declared, observed, assigned = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local active, version, events, used = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local token, pod, expected, next = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if redis.call('GET', lease) ~= token then return 0 end
local old = redis.call('HGET', declared, pod)
if not old or string.sub(old, 1, #expected + 1) ~= expected .. '\n' then return 0 end
redis.call('HDEL', declared, pod)
redis.call('HDEL', observed, pod)
redis.call('HDEL', assigned, pod)
redis.call('HDEL', active, pod)
redis.call('HDEL', used, pod)
redis.call('DEL', events)
redis.call('SET', version, next)
return 1
