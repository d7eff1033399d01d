#!lua flags=allow-oom
-- user-pod-observe: stores what the controller of a node observed of a pod, and an event for its log.
-- KEYS    lease  string, the controller of the node · declared  hash pod -> revision, line feed, JSON ·
--         observed  hash pod -> JSON · version  string that changes with each change · events  list, the newest first
-- ARGV    token  of the controller · pod · json  '' if only an event is stored · event  JSON; '' for none ·
--         next  the new version, random · kept  number of events that stay
-- RETURN  1; 0 if another controller has the lease or the pod does not exist: then nothing changes
local lease, declared, observed, version, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, pod, json, event, next, kept = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])

if redis.call('GET', lease) ~= token or redis.call('HEXISTS', declared, pod) == 0 then return 0 end
if event ~= '' then
  redis.call('LPUSH', events, event)
  redis.call('LTRIM', events, 0, kept - 1)
end
if json ~= '' then
  redis.call('HSET', observed, pod, json)
  redis.call('SET', version, next)
end
redis.call('PUBLISH', 'sluice:userpods', pod)
return 1
