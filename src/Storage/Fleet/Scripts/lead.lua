#!lua flags=allow-oom
-- lead: acquires, renews, or (lease 0) gives up the leadership of the gateways.
-- KEYS    leader  string, the leader · epoch  string, of the last leader: unix ms of its election, or more
-- ARGV    candidate · lease_ms
-- RETURN  the epoch when the candidate leads; 0 after it gave up; else, negative, the remaining ms of another's lease
-- The epoch is a time and not a counter: a Redis that lost its last writes would assign the same number twice.
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
