#!lua flags=allow-oom
-- fleet-look: reads an endpoint's pods and drain orders; a leader's call voids the orders of all earlier leaders.
-- KEYS    pods  hash pod -> record · drain  set of pods to drain · epoch  string, of the last leader that called this
-- ARGV    mine  the leader's epoch; 0: the caller does not lead
-- RETURN  1 when a later leader has called this, else 0 · [record, ..] · [pod, ..] to drain
local pods, drain, epoch = KEYS[1], KEYS[2], KEYS[3]
local mine = tonumber(ARGV[1])

local last = tonumber(redis.call('GET', epoch) or '0')
if mine > last then redis.call('SET', epoch, mine) end
return { mine > 0 and mine < last and 1 or 0, redis.call('HVALS', pods), redis.call('SMEMBERS', drain) }
