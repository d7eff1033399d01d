#!lua flags=allow-oom
-- ledger-fold: adds old hours to their days, and old days to their months. Each hash is added and deleted in one step.
-- KEYS    ledger  sorted set of the hashes of usage, and their prefix (see ledger)
-- ARGV    hours_ms  how long hours are kept · days_ms  how long days are kept · max  hashes to add in one call
-- RETURN  the number of hashes that were added
local ledger = KEYS[1]
local hours_ms, days_ms, max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

-- include: calendar

local function fold(name, into, begin)
  local from, to = ledger .. ':' .. name, ledger .. ':' .. into
  local sums = redis.call('HGETALL', from)
  for i = 1, #sums, 2 do redis.call('HINCRBY', to, sums[i], sums[i + 1]) end
  redis.call('ZADD', ledger, string.format('%d', begin * DAY_MS), into)
  redis.call('ZREM', ledger, name)
  redis.call('UNLINK', from)
end

local time = redis.call('TIME')
local now, folded = time[1] * 1000 + math.floor(time[2] / 1000), 0
for _, name in ipairs(redis.call('ZRANGEBYSCORE', ledger, '-inf', now - math.min(hours_ms, days_ms))) do
  local kind, number = string.match(name, '^(%a)(%d+)$')
  local day = kind == 'h' and math.floor(number / 24) or tonumber(number)
  if folded >= max then break end
  if kind == 'h' and (day + 1) * DAY_MS <= now - hours_ms then
    fold(name, 'd' .. string.format('%d', day), day)
    folded = folded + 1
  elseif kind == 'd' then
    local begin = month_begin(day)
    if (begin + 31) * DAY_MS <= now - days_ms then
      fold(name, 'm' .. string.format('%d', begin), begin)
      folded = folded + 1
    end
  end
end
return folded
