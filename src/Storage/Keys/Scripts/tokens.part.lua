-- tokens (part): the tokens of a key in the last window of time.
-- The window has PARTS parts, each with the tokens that were reserved in it. A part counts until PARTS whole parts
-- have passed after it, so no window has more tokens than its limit.
-- Tokens above the limit (a request used more than it reserved) are debt. When a part ends to count, debt takes its
-- place, so debt is never free, and the sum of several windows is at most their limits.
-- spending() reads the window. total() are the tokens that count, wait(n) the ms until n of them do not count any more.
-- add() adds tokens, and returns how many are in the part of now, and how many are debt. give_back() reverses that as
-- far as it still counts. keep() writes the changes.
local PARTS, MAX_DEBT = 60, 60

local function spending(window, window_ms, limit)
  local time, size = redis.call('TIME'), window_ms / PARTS
  local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  local now, parts, amounts, debt, sum = math.floor(now_ms / size), {}, {}, 0, 0
  local changed, gone = {}, {}
  local all = redis.call('HGETALL', window)
  for i = 1, #all, 2 do
    local amount = tonumber(all[i + 1])
    sum = sum + amount
    if all[i] == 'debt' then debt = amount
    else
      local part = tonumber(all[i])
      parts[#parts + 1] = part
      amounts[part] = amount
    end
  end
  table.sort(parts)

  -- The part that ends to count, from the oldest one: debt takes its place.
  local function pass(parts, amounts, owed, first)
    local part = parts[first]
    local moved, place = math.min(amounts[part], owed), part + PARTS + 1
    if moved > 0 then
      if not amounts[place] then
        parts[#parts + 1] = place
        local i = #parts
        while i > first + 1 and parts[i - 1] > place do parts[i], i = parts[i - 1], i - 1 end
        parts[i] = place
      end
      amounts[place] = (amounts[place] or 0) + moved
    end
    return moved, place
  end

  local first = 1
  while parts[first] and parts[first] < now - PARTS do
    local part = parts[first]
    local moved, place = pass(parts, amounts, debt, first)
    if moved > 0 then debt, changed[place], changed.debt = debt - moved, true, true end
    sum, gone[#gone + 1], changed[part], first = sum - amounts[part], part, nil, first + 1
  end

  local function wait(n)
    local order, counts, owed, i = {}, {}, debt, 1
    for at = first, #parts do order[#order + 1], counts[parts[at]] = parts[at], amounts[parts[at]] end
    local ended = now
    while n > 0 and order[i] do
      n, ended = n - counts[order[i]], order[i] + PARTS + 1
      owed = owed - pass(order, counts, owed, i)
      i = i + 1
    end
    return math.max(0, math.ceil(ended * size - now_ms))
  end

  local function put(part, amount)
    if not amounts[part] then parts[#parts + 1] = part end
    amounts[part], sum, changed[part] = (amounts[part] or 0) + amount, sum + amount, true
  end

  local function owe(amount)
    local owed = math.min(MAX_DEBT * limit, debt + amount) - debt
    debt, sum, changed.debt = debt + owed, sum + owed, true
    return owed
  end

  local function add(tokens)
    local here = math.min(tokens, math.max(0, limit - sum))
    if here > 0 then put(now, here) end
    return here, tokens > here and owe(tokens - here) or 0
  end

  local function give_back(part, here, owed, tokens)
    local less = math.min(tokens, owed, debt)
    if less > 0 then owe(-less) end
    less = math.min(tokens - less, here, part >= now - PARTS and amounts[part] or 0)
    if less > 0 then put(part, -less) end
  end

  local function keep()
    if #gone > 0 then redis.call('HDEL', window, unpack(gone)) end
    local fields = {}
    for part in pairs(changed) do
      fields[#fields + 1] = part == 'debt' and part or string.format('%d', part)
      fields[#fields + 1] = string.format('%d', part == 'debt' and debt or amounts[part])
    end
    if #fields == 0 then return end
    redis.call('HSET', window, unpack(fields))
    redis.call('PEXPIRE', window, math.ceil((2 + math.ceil(debt / math.max(1, limit))) * (window_ms + size)))
  end

  return { now = now, add = add, give_back = give_back, keep = keep, wait = wait, total = function() return sum end }
end
