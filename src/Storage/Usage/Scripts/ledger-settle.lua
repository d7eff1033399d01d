#!lua flags=allow-oom
-- ledger-settle: makes the ended jobs of an endpoint's usage agree with its counters. Builds of schema 2 without usage
-- ended jobs that only the counters have; they stay without usage, and the check no longer reports them.
-- KEYS    ledger  sorted set of the hashes of usage, and their prefix (see ledger) · meta  hash status -> ended jobs
-- ARGV    most  the largest number of fields that is read; the check reads no larger ledger either
-- RETURN  the number of jobs that the base of the ledger changed by
local ledger, meta = KEYS[1], KEYS[2]
local most = tonumber(ARGV[1])
-- include: ledger

local names, ended, fields, changed = redis.call('ZRANGE', ledger, 0, -1), {}, 0, 0
for _, name in ipairs(names) do fields = fields + redis.call('HLEN', ledger .. ':' .. name) end
if #names == 0 or fields > most then return 0 end
for _, name in ipairs(names) do
  local sums = redis.call('HGETALL', ledger .. ':' .. name)
  for i = 1, #sums, 2 do
    local quantity = string.match(sums[i], '[^|]*$')
    ended[quantity] = (ended[quantity] or 0) + tonumber(sums[i + 1])
  end
end
for _, status in ipairs(ENDED) do
  local counted = tonumber(redis.call('HGET', meta, status) or 0)
    + tonumber(redis.call('HGET', ledger .. ':base', status) or 0)
  local off = (ended[status] or 0) - counted
  if off ~= 0 then redis.call('HINCRBY', ledger .. ':base', status, string.format('%d', off)) end
  changed = changed + math.abs(off)
end
return changed
