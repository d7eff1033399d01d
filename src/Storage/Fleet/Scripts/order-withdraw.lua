#!lua flags=allow-oom
-- order-withdraw: removes a pod whose order its host has not taken.
-- KEYS    pods  hash pod -> record · orders  hash pod -> end of its open order (unix ms) ·
--         drain  set of pods to drain · epoch  string, of the last leader that read the pods
-- ARGV    mine  the leader's epoch; 0: the pod's host refuses the order · pod · early  1: also before its end
-- RETURN  1, or 0 when the order is still valid, was taken, or a later leader has read the pods
local pods, orders, drain, epoch = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local mine, pod, early = tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1'

if mine > 0 and mine < tonumber(redis.call('GET', epoch) or '0') then return 0 end
local valid_until = redis.call('HGET', orders, pod)
if not valid_until then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not early and now < tonumber(valid_until) then return 0 end
redis.call('HDEL', orders, pod)
redis.call('HDEL', pods, pod)
redis.call('SREM', drain, pod)
return 1
