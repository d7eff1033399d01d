#!lua flags=allow-oom
-- worker-down: remove a worker that is gone, with all its held slots.
-- KEYS    workers  hash pod -> address (JSON) · capacity  hash pod -> slots ·
--         free  sorted set ready pod -> free slots · held  hash "holder|pod" -> slots ·
--         token_capacity  hash pod -> how many tokens it can hold · tokens  hash tokens in flight (see room)
-- ARGV    pod · endpoint
-- RETURN  1 when the worker was known, 0 when it was not
local workers, capacity, free, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token_capacity, tokens = KEYS[5], KEYS[6]
local pod, endpoint = ARGV[1], ARGV[2]

local fields = redis.call('HKEYS', held)
local known = redis.call('HDEL', capacity, pod)
redis.call('HDEL', workers, pod)
redis.call('ZREM', free, pod)
for _, field in ipairs(fields) do
  if string.match(field, '|(.+)$') == pod then redis.call('HDEL', held, field) end
end
redis.call('HDEL', token_capacity, pod)
for _, field in ipairs(redis.call('HKEYS', tokens)) do
  if field == pod or string.match(field, '|(.+)$') == pod then redis.call('HDEL', tokens, field) end
end
redis.call('PUBLISH', 'sluice:dispatch', 'down|' .. endpoint .. '|' .. pod)
return known
