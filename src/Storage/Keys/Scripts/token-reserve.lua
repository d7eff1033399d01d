#!lua flags=allow-oom
-- token-reserve: reserve tokens of a key for a request, before it is sent.
-- KEYS    window  hash part of the window -> tokens, and their debt (see tokens) ·
--         reserved  prefix of strings "part|tokens in it|debt", the reservation of a request, until it is settled
-- ARGV    request · tokens · limit  tokens in a window · most  tokens that may count after this reservation ·
--         forced  1: reserve more than that as debt · window_ms · life_ms  after which the request can not be settled
-- RETURN  {1 when reserved or 0, tokens left, ms until all are left, ms until this reservation is possible}
-- A repeated call reserves once. A reservation that nothing settles counts like used tokens, until its window has
-- passed.
local window, reserved = KEYS[1], KEYS[2]
local request, tokens, limit, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local forced, window_ms, life_ms = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
-- include: tokens

local spent = spending(window, window_ms, limit)
local function answer(granted, retry_ms)
  local total = spent.total()
  return { granted, math.max(0, limit - total), spent.wait(total), retry_ms }
end
if redis.call('EXISTS', reserved .. request) == 1 then return answer(1, 0) end
local over = spent.total() + tokens - most
if over > 0 and forced ~= '1' then return answer(0, spent.wait(over)) end
local part, here, owed = spent.now, spent.add(tokens)
spent.keep()
redis.call('SET', reserved .. request, string.format('%d|%d|%d', part, here, owed), 'PX', life_ms)
return answer(1, 0)
