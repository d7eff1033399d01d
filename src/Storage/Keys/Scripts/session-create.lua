#!lua flags=allow-oom
-- session-create: stores a session of an API key, and deletes the oldest ones of the key above a number. Their number
--                 and size are bounded, and people need them to see why Redis is full.
-- KEYS    sessions  sorted set id of each session of the key -> unix ms of its end ·
--         others  prefix of the strings of sessions
-- ARGV    id · json · life_ms · now  unix ms · max  sessions of the key
-- RETURN  the number of sessions of the key
local sessions, others = KEYS[1], KEYS[2]
local id, json, life_ms, now, max = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

redis.call('ZREMRANGEBYSCORE', sessions, '-inf', string.format('%d', now))
for _, old in ipairs(redis.call('ZRANGE', sessions, 0, -max)) do
  redis.call('DEL', others .. old)
  redis.call('ZREM', sessions, old)
end
redis.call('SET', others .. id, json, 'PX', life_ms)
redis.call('ZADD', sessions, string.format('%d', now + life_ms), id)
redis.call('PEXPIRE', sessions, life_ms)
return redis.call('ZCARD', sessions)
