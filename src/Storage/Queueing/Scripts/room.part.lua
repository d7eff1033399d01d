-- room (part): tokens in flight at workers that report how many tokens they can hold.
-- token_capacity  hash pod -> "tokens|unit|1 if it doubles|longest" (TokenCapacity) · tokens  hash "holder|pod" ->
-- tokens that the slots of the holder were charged, and pod -> their sum. Fields of 0 do not exist. Pods without a
-- capacity are charged 0.
-- charge() returns the tokens that a text is charged, as TokenCapacity.Charge does. size_of() returns all tokens of a
-- worker. tokens_of() returns the tokens of a ticket entry: they follow its id ("id~tokens"). An isolated ticket has
-- all slots of its worker and is charged 0.
local function charge(capacity, tokens)
  if not capacity or tokens <= 0 then return 0 end
  local most, unit, doubles, longest = string.match(capacity, '^(%d+)|(%d+)|(%d)|(%d+)$')
  most, unit, longest = tonumber(most), tonumber(unit), longest ~= '0' and tonumber(longest) or math.huge
  tokens = math.min(tokens, longest)
  if tokens >= most then return most end
  if doubles ~= '1' then return math.min(most, math.ceil(tokens / unit) * unit) end
  while unit < tokens do unit = unit * 2 end
  return math.min(most, unit, longest)
end

local function size_of(capacity) return tonumber(string.match(capacity, '^%d+')) end

local function tokens_of(entry) return tonumber(string.match(entry, '^[0-8]%d*|[^|]+|[^|~]+~(%d+)|') or 0) end

-- Changes the tokens of a holder at a pod, at most to 0.
local function add_tokens(tokens, holder, pod, n)
  if n == 0 then return end
  local field = holder .. '|' .. pod
  n = math.max(n, -tonumber(redis.call('HGET', tokens, field) or 0))
  if n == 0 then return end
  if redis.call('HINCRBY', tokens, field, n) == 0 then redis.call('HDEL', tokens, field) end
  if redis.call('HINCRBY', tokens, pod, n) <= 0 then redis.call('HDEL', tokens, pod) end
end
