#!lua flags=allow-oom
-- decision-keep: stores the decision of a leader about an endpoint, and the scaling state. It is bounded, so that
-- scaling continues while Redis is full.
-- KEYS    scale  hash epoch, state, latest · changes  list of decisions that changed something, newest first
-- ARGV    epoch  of the leader · state · latest  the decision · change  the decision again if it changed something,
--         otherwise '' ·
--         kept  maximum number of stored changes
-- RETURN  1, or 0 if a later leader has already stored a decision: then nothing is written
local scale, changes = KEYS[1], KEYS[2]
local epoch, state, latest, change, kept = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

if tonumber(redis.call('HGET', scale, 'epoch') or 0) > epoch then return 0 end
redis.call('HSET', scale, 'epoch', epoch, 'state', state, 'latest', latest)
if change ~= '' then
  redis.call('LPUSH', changes, change)
  redis.call('LTRIM', changes, 0, kept - 1)
end
return 1
