#!lua flags=allow-oom
-- host-beat: renews the lease of a gateway's host, and announces the versions of the data that the gateway supports; or
-- (lease 0) ends both. A gateway that does not support the version in Redis gets no lease.
-- KEYS    hosts  sorted set host -> expiry (unix ms) · ranges  hash host -> "expiry|oldest|newest" (see gateways) ·
--         schema  string, the version of the data (see gateways)
-- ARGV    host · lease_ms · range  "oldest|newest" ·
--         known  the version that the gateway read last, which Redis may have lost; '' if it starts
-- RETURN  {schema, [host, "oldest|newest" or '', ..] of the hosts with a valid lease}
-- The check and the announcement are one step: a gateway that starts while the version is raised either counts, or
-- finds the raised version. A Redis without a version has no data, and gets the newest one that all gateways support.
local hosts, ranges, schema = KEYS[1], KEYS[2], KEYS[3]
local host, lease_ms, range, known = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
-- include: gateways

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', hosts, '-inf', now)
if lease_ms == 0 then
  redis.call('ZREM', hosts, host)
  redis.call('HDEL', ranges, host)
end
local text = redis.call('GET', schema)
if not text then
  local others = gateways(hosts, ranges)
  for i = #others - 1, 1, -2 do
    if others[i] == host then table.remove(others, i + 1); table.remove(others, i) end
  end
  local newest = tonumber(string.match(range, '%d+$'))
  text = known ~= '' and known or string.format('%d', common(others, newest))
  if lease_ms > 0 then redis.call('SET', schema, text) end
end
if lease_ms > 0 and supports(range, versions(text)) then
  local expiry = string.format('%d', now + lease_ms)
  redis.call('ZADD', hosts, expiry, host)
  redis.call('HSET', ranges, host, expiry .. '|' .. range)
end
local living = gateways(hosts, ranges)
if redis.call('HLEN', ranges) > #living / 2 then
  for _, name in ipairs(redis.call('HKEYS', ranges)) do
    if not redis.call('ZSCORE', hosts, name) then redis.call('HDEL', ranges, name) end
  end
end
return { text, living }
