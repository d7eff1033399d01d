#!lua flags=allow-oom
-- ledger-add: counts a batch of usage of one gateway, once: a batch that was applied before changes nothing.
-- KEYS    ledger  sorted set of the hashes of usage, and their prefix (see ledger) ·
--         meta  hash a counter for each status · applied  string, the number of the last batch of this gateway
-- ARGV    number  of the batch; numbers of a gateway increase · keep_ms  how long the number is stored ·
--         sums...  (field, count) pairs
-- RETURN  1, or 0 if the batch was applied before
local ledger, meta, applied = KEYS[1], KEYS[2], KEYS[3]
local number, keep_ms, sums = tonumber(ARGV[1]), ARGV[2], 3
-- include: ledger

if number <= tonumber(redis.call('GET', applied) or 0) then return 0 end
local time = redis.call('TIME')
local usage = counting_usage(ledger, meta, time[1] * 1000 + math.floor(time[2] / 1000))
for i = sums, #ARGV, 2 do usage.add(ARGV[i], tonumber(ARGV[i + 1])) end
usage.keep()
redis.call('SET', applied, number, 'PX', keep_ms)
return 1
