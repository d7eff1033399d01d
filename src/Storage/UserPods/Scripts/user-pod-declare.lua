#!lua flags=allow-oom
-- user-pod-declare: creates a pod, or changes one that has the expected revision.
-- KEYS    declared  hash pod -> revision, line feed, JSON · version  string that changes with each change
-- ARGV    pod · expected  the revision that the change is based on; '' creates the pod ·
--         revision  the new one, random · json · most  maximum number of pods
-- RETURN  'ok'; 'missing' if the pod does not exist; 'conflict' if it has another revision or, for a new one, exists;
--         'full' if no further pod can be created
local declared, version = KEYS[1], KEYS[2]
local pod, expected, revision, json, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local old = redis.call('HGET', declared, pod)
if expected == '' then
  if old then return 'conflict' end
  if redis.call('HLEN', declared) >= most then return 'full' end
else
  if not old then return 'missing' end
  if string.sub(old, 1, #expected + 1) ~= expected .. '\n' then return 'conflict' end
end
redis.call('HSET', declared, pod, revision .. '\n' .. json)
redis.call('SET', version, revision)
redis.call('PUBLISH', 'sluice:userpods', pod)
return 'ok'
