-- gateways (part): the gateways with a lease, the versions of the data that they support, and the version in Redis.
-- hosts: host -> end of its lease (unix ms). ranges: host -> "expiry|oldest|newest". A range counts only with the
-- expiry of the lease, because one call writes both: a build without ranges renews only the lease of its host.
-- schema: "2", the active version, or "2>3" while it is raised: version 2 is active, and each gateway must support 3.
local UNANNOUNCED = 2

-- Returns [host, "oldest|newest" or '', ..].
local function gateways(hosts, ranges)
  local living, names, list = redis.call('ZRANGE', hosts, 0, -1, 'WITHSCORES'), {}, {}
  for i = 1, #living, 2 do names[#names + 1] = living[i] end
  local known = #names > 0 and redis.call('HMGET', ranges, unpack(names)) or {}
  for i, name in ipairs(names) do
    local expiry, range = string.match(known[i] or '', '^(%d+)|(%d+|%d+)$')
    list[2 * i - 1] = name
    list[2 * i] = expiry and tonumber(expiry) == tonumber(living[2 * i]) and range or ''
  end
  return list
end

-- Returns the active and the required version; nil if the text has another form.
local function versions(text)
  local active, required = string.match(text, '^(%d+)>?(%d*)$')
  return tonumber(active), tonumber(required) or tonumber(active)
end

-- Whether a gateway with a range can use data from an active to a required version.
local function supports(range, active, required)
  local oldest, newest = string.match(range, '^(%d+)|(%d+)$')
  oldest, newest = tonumber(oldest) or UNANNOUNCED, tonumber(newest) or UNANNOUNCED
  return active ~= nil and oldest <= active and required <= newest
end

-- Returns the newest version that all gateways of a list support, at most a limit.
local function common(list, limit)
  for i = 2, #list, 2 do
    limit = math.min(limit, tonumber(string.match(list[i], '%d+$')) or UNANNOUNCED)
  end
  return limit
end
