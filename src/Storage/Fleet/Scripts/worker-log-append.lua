#!lua
-- worker-log-append: stores lines that a worker wrote. It is refused while Redis is full.
-- KEYS    log  stream of lines, field "at" (unix ms) and "text" · logs  sorted set pod -> unix ms of its last line ·
--         others  prefix of the streams of the endpoint's workers
-- ARGV    pod · max_lines  that stay in a log · max_logs  of ended and running workers that stay ·
--         life_ms  after the last line · now  unix ms · lines...  at and text, of each
-- RETURN  nothing
local log, logs, others = KEYS[1], KEYS[2], KEYS[3]
local pod, max_lines, max_logs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local life_ms, now = ARGV[4], ARGV[5]
local lines = 6

for i = lines, #ARGV, 2 do
  redis.call('XADD', log, 'MAXLEN', max_lines, '*', 'at', ARGV[i], 'text', ARGV[i + 1])
end
redis.call('PEXPIRE', log, life_ms)
redis.call('ZADD', logs, now, pod)
redis.call('PEXPIRE', logs, life_ms)
for _, old in ipairs(redis.call('ZRANGE', logs, 0, -max_logs - 1)) do
  redis.call('UNLINK', others .. old)
  redis.call('ZREM', logs, old)
end
return nil
