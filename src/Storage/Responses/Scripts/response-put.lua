#!lua
-- response-put: store a response of an owner, and delete the oldest ones above the limit.
-- KEYS    stored  sorted set response of the owner -> end of its time (Unix ms) ·
--         sizes  hash response of the owner -> bytes; '|all' -> their sum · responses  prefix of the strings
-- ARGV    id · json · keep_ms  how long the response is stored · max_bytes  of all responses of the owner
-- RETURN  the bytes of all responses of the owner
local stored, sizes, responses = KEYS[1], KEYS[2], KEYS[3]
local id, json, keep_ms, max_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = tonumber(redis.call('HGET', sizes, '|all') or '0')
local function remove(old)
  all = all - tonumber(redis.call('HGET', sizes, old) or '0')
  redis.call('HDEL', sizes, old)
  redis.call('ZREM', stored, old)
  redis.call('DEL', responses .. old)
end
remove(id)
for _, old in ipairs(redis.call('ZRANGEBYSCORE', stored, '-inf', string.format('%d', now))) do remove(old) end
while all + #json > max_bytes do
  local oldest = redis.call('ZRANGE', stored, 0, 0)[1]
  if not oldest then break end
  remove(oldest)
end
redis.call('SET', responses .. id, json, 'PX', keep_ms)
redis.call('ZADD', stored, string.format('%d', now + keep_ms), id)
redis.call('HSET', sizes, id, #json, '|all', string.format('%d', all + #json))
-- The lists expire with the last response.
local last = redis.call('ZRANGE', stored, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', stored, last[2])
redis.call('PEXPIREAT', sizes, last[2])
return all + #json
