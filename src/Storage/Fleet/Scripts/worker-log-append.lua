#!lua
-- worker-log-append: stores lines of a worker. It is refused while Redis is full.
-- KEYS    log  stream of lines, field "at" (unix ms), "text", and "system" if the gateway wrote it · logs  sorted set pod -> unix ms of its last line ·
--         others  prefix of the streams of the endpoint's workers
-- ARGV    pod · max_lines  that stay in a log · max_logs  of ended and running workers that stay ·
--         life_ms  after the last line · now  unix ms · lines...  at, text and '1' for one of the gateway, of each
-- RETURN  nothing
local log, logs, others = KEYS[1], KEYS[2], KEYS[3]
local pod, max_lines, max_logs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local life_ms, now = ARGV[4], ARGV[5]
local lines = 6

for i = lines, #ARGV, 3 do
  local system = ARGV[i + 2] == '1' and { 'system', '1' } or {}
  redis.call('XADD', log, 'MAXLEN', max_lines, '*', 'at', ARGV[i], 'text', ARGV[i + 1], unpack(system))
end
redis.call('PEXPIRE', log, life_ms)
redis.call('ZADD', logs, now, pod)
redis.call('PEXPIRE', logs, life_ms)
for _, old in ipairs(redis.call('ZRANGE', logs, 0, -max_logs - 1)) do
  redis.call('UNLINK', others .. old)
  redis.call('ZREM', logs, old)
end
return nil
