#!lua flags=no-writes
-- user-pod-list: reads all pods, unless the caller has the current version.
-- KEYS    version  string that changes with each change · declared  hash pod -> revision, line feed, JSON ·
--         observed  hash pod -> JSON · assigned  hash pod -> node
-- ARGV    known  the version that the caller has
-- RETURN  the version; if it is not the known one, also the pairs of each of the three hashes
local version, declared, observed, assigned = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local known = ARGV[1]

local now = redis.call('GET', version) or ''
if now == known then return { now } end
return {
  now, redis.call('HGETALL', declared), redis.call('HGETALL', observed), redis.call('HGETALL', assigned),
}
