#!lua flags=allow-oom
-- budget-settle: ends what a request reserved of its budgets. A repeated call changes nothing.
-- KEYS    outbox  sorted set delivery -> next attempt · log  sorted set delivery -> created ·
--         hooks  prefix of delivery hashes · used  prefix of the hashes of windows (see budget) ·
--         held  string, what the request reserves · settled  string, set when it was settled; it expires ·
--         open  sorted set reservation of a job -> when it was last checked
-- ARGV    keep_ms  how long the settlement is known · request  its id ·
--         mode  'use': what it used replaces the reservation; 'keep': the reservation counts as used; 'return': nothing
--         was used, and a later settlement counts · budgets...  (id, window, limit, amount, url) of each, for 'use'
-- RETURN  1, or 0 if it was settled before, or if nothing is reserved (except for 'use')
-- What a request used counts in the window in which it was reserved, without a reservation in the current one. What it
-- reserved of budgets that are not in the call is returned: its key has other tags now.
local outbox, log, hooks, used, held, settled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local open = KEYS[7]
local keep_ms, request, mode, budgets = ARGV[1], ARGV[2], ARGV[3], 4
-- include: calendar
-- include: budget

local text = redis.call('GET', held)
redis.call('ZREM', open, request)
if not text and (mode ~= 'use' or redis.call('EXISTS', settled) == 1) then return 0 end
if mode ~= 'return' then redis.call('SET', settled, 1, 'PX', keep_ms) end
redis.call('DEL', held)
if mode == 'keep' then return 1 end
local k = { outbox = outbox, log = log, hooks = hooks, used = used }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reserved = {}
for id, begin, ends, amount in string.gmatch(text or '', '([^|;]+)|(%d+)|(%d+)|(%d+)') do
  reserved[id] = { begin = tonumber(begin), ends = tonumber(ends), amount = tonumber(amount) }
end
for i = budgets, #ARGV, 5 do
  local b = { id = ARGV[i], limit = tonumber(ARGV[i + 2]), amount = tonumber(ARGV[i + 3]), url = ARGV[i + 4] }
  local was = reserved[b.id]
  if not was then
    local begin, ends = window_of(ARGV[i + 1], now)
    was = { begin = begin, ends = ends, amount = 0 }
  end
  reserved[b.id] = nil
  if b.amount ~= was.amount then spend(k, b, was.begin, was.ends, b.amount - was.amount, now) end
end
for id, was in pairs(reserved) do
  if was.amount > 0 then spend(k, { id = id, limit = math.huge, url = '' }, was.begin, was.ends, -was.amount, now) end
end
return 1
