#!lua flags=allow-oom
-- schema-change: changes the version of the data, if the caller leads and all gateways with a lease support the change.
-- KEYS    hosts  sorted set host -> expiry (unix ms) · ranges  hash host -> "expiry|oldest|newest" (see gateways) ·
--         schema  string, the version of the data (see gateways) · epoch  string, of the last leader
-- ARGV    mine  the leader's epoch · from  the version before · to  the version after
-- RETURN  'ok', 'stale' when a later leader exists, 'changed' when the version is not from, or 'refused'
local hosts, ranges, schema, epoch = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local mine, from, to = ARGV[1], ARGV[2], ARGV[3]
-- include: gateways

if redis.call('GET', epoch) ~= mine then return 'stale' end
if redis.call('GET', schema) ~= from then return 'changed' end
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', hosts, '-inf', time[1] * 1000 + math.floor(time[2] / 1000))
local living = gateways(hosts, ranges)
for i = 2, #living, 2 do
  if not supports(living[i], versions(to)) then return 'refused' end
end
redis.call('SET', schema, to)
return 'ok'
