#!lua flags=allow-oom
-- lead: become, stay, or (lease 0) cease to be the one gateway that scales.
-- KEYS    leader  string, who leads · epoch  string, of the last leader: unix ms of when it began, or more
-- ARGV    candidate · lease_ms
-- RETURN  the leader's epoch when the candidate leads; 0 when it ceased to; else, negative, the ms that are left of another's lease
-- Not counted: a Redis that lost its last writes would count to the same epoch again.
local leader, epoch = KEYS[1], KEYS[2]
local candidate, lease_ms = ARGV[1], tonumber(ARGV[2])

local now = redis.call('GET', leader)
if now and now ~= candidate then return -math.max(1, redis.call('PTTL', leader)) end
if lease_ms == 0 then
  if now then redis.call('DEL', leader) end
  return 0
end
redis.call('SET', leader, candidate, 'PX', lease_ms)
if now then return tonumber(redis.call('GET', epoch)) end
local time = redis.call('TIME')
local next = math.max(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(redis.call('GET', epoch) or 0) + 1)
redis.call('SET', epoch, string.format('%d', next))
return next
