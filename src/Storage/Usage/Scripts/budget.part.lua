-- budget (part, after calendar): budgets count in a hash for each window: k.used .. 'ID:BEGIN', with the fields used
-- and one for each alert that was sent. Amounts are integers: requests, tokens, millionths of a second or of money.
-- k: outbox, log, hooks, used.
local WINDOWS_KEPT_MS = 70 * DAY_MS
local ALERTS_KEPT_MS = 7 * DAY_MS
local ALERTS = { 50, 80, 100 }

local function number(n) return string.format('%d', n) end

local function used_key(k, id, begin) return k.used .. id .. ':' .. number(begin) end

-- Sends an alert once for each window. at: '50', '80', '100' or 'projected'.
local function alert(k, b, begin, ends, at, used, now)
  local key = used_key(k, b.id, begin)
  if b.url == '' or redis.call('HSETNX', key, 'alert' .. at, number(now)) == 0 then return end
  local delivery = 'msg_' .. b.id .. '_' .. number(begin / 1000) .. '_' .. at
  redis.call('HSET', k.hooks .. delivery, 'job', b.id, 'url', b.url, 'status', at, 'made', number(now), 'tries', 0,
    'state', 'pending', 'used', number(used), 'limit', number(b.limit), 'begin', number(begin), 'ends', number(ends))
  redis.call('PEXPIRE', k.hooks .. delivery, number(ALERTS_KEPT_MS))
  redis.call('ZADD', k.outbox, number(now), delivery)
  redis.call('ZADD', k.log, number(now), delivery)
  redis.call('ZREMRANGEBYSCORE', k.log, '-inf', number(now - ALERTS_KEPT_MS))
end

-- Adds an amount to a window, and sends the alerts of the levels that it passes.
local function spend(k, b, begin, ends, amount, now)
  local key = used_key(k, b.id, begin)
  local used = redis.call('HINCRBY', key, 'used', number(amount))
  redis.call('PEXPIREAT', key, number(ends + WINDOWS_KEPT_MS))
  if now >= ends then return end
  for _, level in ipairs(ALERTS) do
    if used * 100 >= b.limit * level and (used - amount) * 100 < b.limit * level then
      alert(k, b, begin, ends, number(level), used, now)
    end
  end
end
