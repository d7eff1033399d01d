#!lua flags=allow-oom
-- pod-start: stores a leader's order of a pod. This check, not the leader's knowledge, enforces an endpoint's max.
-- KEYS    pods  hash pod -> record · epoch  string, of the last leader that read the pods
-- ARGV    mine  the leader's epoch · pod · record · fingerprint  of the declaration · max
-- RETURN  'ok', 'stale' when a later leader has read the pods, or 'full'
local pods, epoch = KEYS[1], KEYS[2]
local mine, pod, record, fingerprint, max = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
-- include: pod-room

if mine < tonumber(redis.call('GET', epoch) or '0') then return 'stale' end
if not hasroom(pods, fingerprint, max) then return 'full' end
redis.call('HSET', pods, pod, record)
return 'ok'
