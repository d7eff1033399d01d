#!lua flags=no-writes
-- token-read: the tokens of a key that count now.
-- KEYS    window  hash part of the window -> tokens, and their debt (see tokens)
-- ARGV    limit  tokens in a window · window_ms
-- RETURN  {tokens left, ms until all are left}
local window = KEYS[1]
local limit, window_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
-- include: tokens

local spent = spending(window, window_ms, limit)
local total = spent.total()
return { math.max(0, limit - total), spent.wait(total) }
