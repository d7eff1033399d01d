#!lua flags=allow-oom
-- user-pod-use: stores what pods use, in place of what was measured before.
-- KEYS    used  hash pod -> JSON · declared  hash pod -> revision, line feed, JSON
-- ARGV    measurements...  pod and JSON, of each
-- RETURN  nothing
local used, declared = KEYS[1], KEYS[2]
local measurements = 1

for i = measurements, #ARGV, 2 do
  local pod, json = ARGV[i], ARGV[i + 1]
  if redis.call('HEXISTS', declared, pod) == 1 then redis.call('HSET', used, pod, json) end
end
return nil
