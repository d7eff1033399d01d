#!lua flags=allow-oom
-- batch-claim: find the oldest open batch that no gateway runs, and give it to the caller.
-- KEYS    open  sorted set batch that has not ended -> created (Unix ms) · batches  prefix of the hashes of batches
-- ARGV    token  identifies this run; random · lease_ms · max  batches to look at
-- RETURN  the batch, or ''
local open, batches = KEYS[1], KEYS[2]
local token, lease_ms, max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, id in ipairs(redis.call('ZRANGE', open, 0, max - 1)) do
  local known = redis.call('HMGET', batches .. id, 'status', 'until')
  if not known[1] then redis.call('ZREM', open, id)
  elseif tonumber(known[2] or 0) <= now then
    redis.call('HSET', batches .. id, 'token', token, 'until', string.format('%d', now + lease_ms))
    return id
  end
end
return ''
