#!lua flags=allow-oom
-- user-pod-active: records the activity of pods. A later time is never replaced by an earlier one.
-- KEYS    active  hash pod -> unix ms of its last activity · declared  hash pod -> revision, line feed, JSON
-- ARGV    activities...  pod and unix ms, of each
-- RETURN  nothing
local active, declared = KEYS[1], KEYS[2]
local activities = 1

for i = activities, #ARGV, 2 do
  local pod, at = ARGV[i], ARGV[i + 1]
  if redis.call('HEXISTS', declared, pod) == 1
      and tonumber(redis.call('HGET', active, pod) or '0') < tonumber(at) then
    redis.call('HSET', active, pod, at)
  end
end
return nil
