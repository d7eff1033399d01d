#!lua flags=allow-oom
-- pod-orders: stores which pods a leader drains and stops, and removes such orders for pods that resume.
-- KEYS    pods  hash pod -> record · drain  set of pods to drain · epoch  string, of the last leader that read them
-- ARGV    mine  the leader's epoch · count  of pods to drain · names...  those to drain, then those to resume
-- RETURN  1, or 0 when a later leader has read the pods
local pods, drain, epoch = KEYS[1], KEYS[2], KEYS[3]
local mine, count, names = tonumber(ARGV[1]), tonumber(ARGV[2]), 3

if mine < tonumber(redis.call('GET', epoch) or '0') then return 0 end
for i = names, #ARGV do
  if i >= names + count then redis.call('SREM', drain, ARGV[i])
  elseif redis.call('HEXISTS', pods, ARGV[i]) == 1 then redis.call('SADD', drain, ARGV[i]) end
end
return 1
