#!lua flags=allow-oom
-- budget-set: sets what is used of a budget in its current window to the sum of the ledger, and sends due alerts.
-- KEYS    outbox  sorted set delivery -> next attempt · log  sorted set delivery -> created ·
--         hooks  prefix of delivery hashes · used  prefix of the hashes of windows (see budget)
-- ARGV    id · window · limit · amount  the sum; -1: keep what is counted · url ·
--         project_ms  from this age of the window on, a projection above the limit is an alert
-- RETURN  {used, begin, ends} of the current window
local outbox, log, hooks, used = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, window, limit, amount = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local url, project_ms = ARGV[5], tonumber(ARGV[6])
-- include: calendar
-- include: budget

local k = { outbox = outbox, log = log, hooks = hooks, used = used }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local begin, ends = window_of(window, now)
local b = { id = id, limit = limit, url = url }
local has = tonumber(redis.call('HGET', used_key(k, id, begin), 'used') or 0)
if amount >= 0 and amount ~= has then
  spend(k, b, begin, ends, amount - has, now)
  has = amount
end
-- The limit may be smaller than it was, or the URL new.
for _, level in ipairs(ALERTS) do
  if has * 100 >= limit * level then alert(k, b, begin, ends, number(level), has, now) end
end
if has > 0 and now - begin >= project_ms and has / (now - begin) * (ends - begin) > limit then
  alert(k, b, begin, ends, 'projected', has, now)
end
return { has, begin, ends }
