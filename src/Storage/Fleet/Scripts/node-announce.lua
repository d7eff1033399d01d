#!lua flags=allow-oom
-- node-announce: stores what a gateway says about its node, and removes the nodes of gateways without a lease.
-- KEYS    hosts  sorted set host -> expiry (unix ms) · nodes  hash host -> node · workers  hash host -> its workers
-- ARGV    host · node  JSON; empty: unchanged; -: the node is no longer announced · count  of its workers
-- RETURN  1 when the node is stored, or 0 when it was unchanged and is missing
local hosts, nodes, workers = KEYS[1], KEYS[2], KEYS[3]
local host, node, count = ARGV[1], ARGV[2], ARGV[3]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, other in ipairs(redis.call('HKEYS', nodes)) do
  local expiry = redis.call('ZSCORE', hosts, other)
  if other ~= host and (not expiry or tonumber(expiry) <= now) then
    redis.call('HDEL', nodes, other)
    redis.call('HDEL', workers, other)
  end
end
if node == '-' then
  redis.call('HDEL', nodes, host)
  redis.call('HDEL', workers, host)
  return 1
end
if node ~= '' then redis.call('HSET', nodes, host, node) end
redis.call('HSET', workers, host, count)
return redis.call('HEXISTS', nodes, host)
