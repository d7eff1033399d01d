#!lua flags=allow-oom
-- ledger-time: counts the time of the workers of an endpoint since they were counted last. Each worker has a mark up to
-- which it is counted, so any leader may call this at any time.
-- KEYS    ledger  sorted set of the hashes of usage, and their prefix (see ledger) ·
--         meta  hash a counter for each status · pods  hash pod -> record ·
--         marks  hash pod -> "counted until|1 when it was ready|row" (row: "key|model|GPU" without a key)
-- ARGV    first_ms  how much time before its first mark a worker counts, at most ·
--         gap_ms  a worker that is gone counts until now if its mark is at most this old ·
--         workers...  (pod, row, started, ready) of each; Unix ms, 0: it was not ready yet
-- RETURN  the number of marks
local ledger, meta, pods, marks = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local first_ms, gap_ms, workers = tonumber(ARGV[1]), tonumber(ARGV[2]), 3
-- include: ledger

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local usage, seen, flat = counting_usage(ledger, meta, now), {}, redis.call('HGETALL', marks)
local known = {}
for i = 1, #flat, 2 do known[flat[i]] = flat[i + 1] end

local function parse(mark) return string.match(mark or '', '^(%d+)|(%d)|(.*)$') end

for i = workers, #ARGV, 4 do
  local pod, row, started, ready = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  -- The caller may have read the pods before this one was removed, and its mark with it.
  if redis.call('HEXISTS', pods, pod) == 1 then
    local counted, was_ready = parse(known[pod])
    local from = math.min(now, tonumber(counted or 0) > 0 and tonumber(counted) or math.max(started, now - first_ms))
    local at = ready > 0 and math.max(from, math.min(ready, now)) or now
    usage.add(row .. '|starting', at - from)
    usage.add(row .. '|ready', now - at)
    if ready > 0 and was_ready ~= '1' then usage.add(row .. '|cold', 1) end
    redis.call('HSET', marks, pod, string.format('%d|%d|%s', now, ready > 0 and 1 or 0, row))
    seen[pod] = true
  end
end
for pod, mark in pairs(known) do
  if not seen[pod] then
    local counted, was_ready, row = parse(mark)
    local gone = counted and now - counted or 0
    if gone > 0 and gone <= gap_ms then usage.add(row .. (was_ready == '1' and '|ready' or '|starting'), gone) end
    redis.call('HDEL', marks, pod)
  end
end
usage.keep()
return redis.call('HLEN', marks)
