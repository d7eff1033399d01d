#!lua
-- batch-create: store a batch, once.
-- KEYS    batch  hash of the batch (see BatchKeys) · parts  hash with the references of the batch ·
--         open  sorted set batch that has not ended -> created (Unix ms) ·
--         of  sorted set batch of this owner -> created (Unix ms) · used  hash file -> open batches that read it
-- ARGV    id · owner · request  what the client asked (JSON) · file  the input · blob  "@blob" of its bytes ·
--         window_ms  time until the batch expires · max_open  batches of the owner that may be open
-- RETURN  'ok', or 'full': the owner has max_open open batches
local batch, parts, open, of, used = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, owner, request, file, blob = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local window_ms, max_open = tonumber(ARGV[6]), tonumber(ARGV[7])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', batch) == 1 then return 'ok' end
local count = 0
for _, known in ipairs(redis.call('ZREVRANGE', of, 0, -1)) do
  if redis.call('ZSCORE', open, known) then count = count + 1 end
end
if count >= max_open then return 'full' end
redis.call('HSET', batch, 'owner', owner, 'request', request, 'file', file, 'blob', blob, 'status', 'validating',
  'created', string.format('%d', now), 'expires', string.format('%d', now + window_ms))
redis.call('HSET', parts, 'input', '\n' .. blob)
redis.call('ZADD', open, string.format('%d', now), id)
redis.call('ZADD', of, string.format('%d', now), id)
redis.call('HINCRBY', used, file, 1)
return 'ok'
