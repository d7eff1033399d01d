#!lua flags=allow-oom
-- token-settle: replace the reservation of a request by the tokens that it used.
-- KEYS    window  hash part of the window -> tokens, and their debt (see tokens) ·
--         reserved  prefix of strings "part|tokens in it|debt", the reservation of a request, until it is settled
-- ARGV    request · tokens  that it used · limit  tokens in a window · window_ms
-- RETURN  {1, or 0 when there is no reservation: it is settled, or too old, tokens that count now}
-- Tokens that were not used are free again, if their part of the window still counts. Tokens that were used in
-- addition count from now on.
local window, reserved = KEYS[1], KEYS[2]
local request, tokens, limit, window_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
-- include: tokens

local spent = spending(window, window_ms, limit)
local part, here, owed = string.match(redis.call('GET', reserved .. request) or '', '^(%d+)|(%d+)|(%d+)$')
if not part then return { 0, spent.total() } end
local more = tokens - here - owed
if more > 0 then spent.add(more)
elseif more < 0 then spent.give_back(tonumber(part), tonumber(here), tonumber(owed), -more) end
spent.keep()
redis.call('DEL', reserved .. request)
return { 1, spent.total() }
