#!lua flags=allow-oom
-- response-delete: delete a response of an owner.
-- KEYS    stored  sorted set response of the owner -> end of its time (Unix ms) ·
--         sizes  hash response of the owner -> bytes; '|all' -> their sum · responses  prefix of the strings
-- ARGV    id
-- RETURN  1 when it was stored
local stored, sizes, responses = KEYS[1], KEYS[2], KEYS[3]
local id = ARGV[1]

local bytes = tonumber(redis.call('HGET', sizes, id) or '0')
local existed = redis.call('DEL', responses .. id)
redis.call('ZREM', stored, id)
if redis.call('HDEL', sizes, id) == 1 then redis.call('HINCRBY', sizes, '|all', string.format('%d', -bytes)) end
return existed
