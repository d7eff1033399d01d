#!lua flags=allow-oom
-- budget-reserve: reserves what a request may use of each of its budgets, or refuses it if one has no room.
-- KEYS    outbox  sorted set delivery -> next attempt · log  sorted set delivery -> created ·
--         hooks  prefix of delivery hashes · used  prefix of the hashes of windows (see budget) ·
--         held  string "id|begin|ends|amount;.." what the request reserves; it expires ·
--         open  sorted set reservation of a job -> when it was last checked
-- ARGV    life_ms  how long the reservation is known · job  its id in open; '': it is of a request ·
--         budgets...  (id, window, limit, amount, url) of each
-- RETURN  {0} or {place of the budget from 1, used, begin, ends} of the first budget without room
-- A budget has no room if it is used up, or if the amount does not fit. A repeated call reserves nothing more.
local outbox, log, hooks, used, held, open = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local life_ms, job, budgets = ARGV[1], ARGV[2], 3
-- include: calendar
-- include: budget

if redis.call('EXISTS', held) == 1 then return { 0 } end
local k = { outbox = outbox, log = log, hooks = hooks, used = used }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all, texts = {}, {}
for i = budgets, #ARGV, 5 do
  local b = { id = ARGV[i], limit = tonumber(ARGV[i + 2]), amount = tonumber(ARGV[i + 3]), url = ARGV[i + 4] }
  b.begin, b.ends = window_of(ARGV[i + 1], now)
  local has = tonumber(redis.call('HGET', used_key(k, b.id, b.begin), 'used') or 0)
  if has >= b.limit or has + b.amount > b.limit then return { #all + 1, has, b.begin, b.ends } end
  all[#all + 1] = b
end
for i, b in ipairs(all) do
  if b.amount > 0 then spend(k, b, b.begin, b.ends, b.amount, now) end
  texts[i] = table.concat({ b.id, number(b.begin), number(b.ends), number(b.amount) }, '|')
end
redis.call('SET', held, table.concat(texts, ';'), 'PX', life_ms)
if job ~= '' then redis.call('ZADD', open, number(now), job) end
return { 0 }
