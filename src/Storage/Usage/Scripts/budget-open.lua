#!lua flags=allow-oom
-- budget-open: returns the reservations of jobs that were not checked for a while, oldest first, as checked now.
-- KEYS    open  sorted set reservation of a job -> when it was last checked
-- ARGV    age_ms  how long they were not checked · max  the most of them
-- RETURN  [reservation, ..]
local open = KEYS[1]
local age_ms, max = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGE', open, '-inf', now - age_ms, 'BYSCORE', 'LIMIT', 0, max)
for _, id in ipairs(due) do redis.call('ZADD', open, now, id) end
return due
