#!lua flags=allow-oom
-- pod-start: stores a leader's order of a pod. This check, not the leader's knowledge, enforces an endpoint's max.
-- KEYS    pods  hash pod -> record · epoch  string, of the last leader that read the pods ·
--         orders  hash pod -> end of its open order (unix ms)
-- ARGV    mine  the leader's epoch · pod · record · fingerprint  of the declaration · max ·
--         valid_ms  how long the host of another gateway may take the order; 0: the caller starts the pod
-- RETURN  'ok', 'stale' when a later leader has read the pods, or 'full'
local pods, epoch, orders = KEYS[1], KEYS[2], KEYS[3]
local mine, pod, record, fingerprint, max = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local valid_ms = tonumber(ARGV[6])
-- include: pod-room

if mine < tonumber(redis.call('GET', epoch) or '0') then return 'stale' end
if not hasroom(pods, fingerprint, max) then return 'full' end
redis.call('HSET', pods, pod, record)
if valid_ms > 0 then
  local time = redis.call('TIME')
  redis.call('HSET', orders, pod, time[1] * 1000 + math.floor(time[2] / 1000) + valid_ms)
end
return 'ok'
