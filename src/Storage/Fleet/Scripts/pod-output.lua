#!lua flags=allow-oom
-- pod-output: stores the last lines that a pod wrote.
-- KEYS    pods  hash pod -> record · output  hash pod -> lines (JSON)
-- ARGV    pod · lines
-- RETURN  1, or 0 when the pod has no record
local pods, output = KEYS[1], KEYS[2]
local pod, lines = ARGV[1], ARGV[2]

if redis.call('HEXISTS', pods, pod) == 0 then return 0 end
redis.call('HSET', output, pod, lines)
return 1
