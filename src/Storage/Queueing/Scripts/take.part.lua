-- take, openings (part, after room): take() books one slot of the worker with the most free slots, or returns nil. A
-- preferred worker is taken instead while it has a free slot and at most margin fewer of them.
-- openings() returns an account of many bookings, which is read once; its keep() writes the changes. take() books a
-- slot and the tokens of its work (k: token_capacity, tokens), only of workers that have room for them. It returns the
-- worker and the tokens that were charged. give() returns slots of one worker and their tokens, at most the held ones,
-- open() counts the free slots. For isolated tickets:
-- whole() books all slots of a worker without other work (of kept, or of any), keepable() returns the worker to keep
-- for them, and withhold() prevents further bookings of its slots.
local function take(free, held, owner, preferred, margin)
  local top = redis.call('ZREVRANGE', free, 0, 0, 'WITHSCORES')
  if not top[1] or tonumber(top[2]) < 1 then return nil end
  local pod = top[1]
  if preferred and preferred ~= '' then
    local left = tonumber(redis.call('ZSCORE', free, preferred) or 0)
    if left >= 1 and left + margin >= tonumber(top[2]) then pod = preferred end
  end
  redis.call('ZINCRBY', free, -1, pod)
  redis.call('HINCRBY', held, owner .. '|' .. pod, 1)
  return pod
end

local function openings(free, held, capacity, k)
  local left, change, used = redis.call('ZRANGE', free, 0, -1, 'WITHSCORES'), {}, {}
  local size, room = {}, {}
  local limited = redis.call('EXISTS', k.token_capacity) == 1
  if limited and #left > 0 then
    local pods = {}
    for i = 1, #left, 2 do pods[#pods + 1] = left[i] end
    local all, sums = redis.call('HMGET', k.token_capacity, unpack(pods)), redis.call('HMGET', k.tokens, unpack(pods))
    for i, pod in ipairs(pods) do
      if all[i] then size[pod], room[pod] = all[i], size_of(all[i]) - tonumber(sums[i] or 0) end
    end
  end
  for i = 2, #left, 2 do left[i] = tonumber(left[i]) end
  local function count(owner, pod, n)
    local of = change[owner] or {}
    change[owner] = of
    of[pod] = (of[pod] or 0) + n
  end
  local function book(owner, i, n)
    count(owner, left[i], n)
    left[i + 1] = left[i + 1] - n
    return left[i]
  end
  local function charged(pod, n) return charge(size[pod], n) end
  local function spend(owner, pod, n)
    if n == 0 then return end
    used[owner] = used[owner] or {}
    used[owner][pod] = (used[owner][pod] or 0) + n
    if room[pod] then room[pod] = room[pod] - n end
  end
  local function fits(i, n) return left[i + 1] >= 1 and (n == 0 or charged(left[i], n) <= (room[left[i]] or 0)) end
  local function take(owner, n, preferred, margin)
    local best, wanted
    n = n or 0
    for i = 1, #left, 2 do
      -- Among equals, take the last by name, as a reversed range orders them.
      if fits(i, n) then
        if not best or left[i + 1] > left[best + 1]
          or (left[i + 1] == left[best + 1] and left[i] > left[best]) then best = i end
        if left[i] == preferred then wanted = i end
      end
    end
    if wanted and left[wanted + 1] + margin >= left[best + 1] then best = wanted end
    if not best then return nil end
    local cost = charged(left[best], n)
    spend(owner, left[best], cost)
    return book(owner, best, 1), cost
  end
  local function give(owner, pod, wanted, unused)
    local field = owner .. '|' .. pod
    local has = tonumber(redis.call('HGET', held, field) or 0) + (change[owner] and change[owner][pod] or 0)
    local n = math.min(wanted, has)
    if limited and (unused > 0 or n == has) then
      local spent = tonumber(redis.call('HGET', k.tokens, field) or 0) + (used[owner] and used[owner][pod] or 0)
      -- The last slot returns all tokens that are left.
      spend(owner, pod, -(n == has and spent or math.min(unused, spent)))
    end
    if n <= 0 then return end
    for i = 1, #left, 2 do
      if left[i] == pod then return book(owner, i, -n) end
    end
    count(owner, pod, -n)
  end
  local function in_use(i) return tonumber(redis.call('HGET', capacity, left[i]) or 0) - left[i + 1] end
  local function whole(owner, kept, any)
    local best
    for i = 1, #left, 2 do
      if (any or left[i] == kept) and left[i + 1] > 0 and in_use(i) == 0
        and (not best or left[i] > left[best]) then best = i end
    end
    return best and book(owner, best, left[best + 1])
  end
  -- The worker that was kept before if it is ready, otherwise the worker with the fewest slots in use, which is idle
  -- first.
  local function keepable(before)
    local best, least
    for i = 1, #left, 2 do
      local n = left[i] == before and -1 or in_use(i)
      if not best or n < least or (n == least and left[i] > best) then best, least = left[i], n end
    end
    return best
  end
  local function withhold(kept)
    for i = 1, #left, 2 do
      if left[i] == kept then left[i + 1] = 0 end
    end
  end
  local function open()
    local total = 0
    for i = 2, #left, 2 do total = total + math.max(0, left[i]) end
    return total
  end
  local function keep()
    for owner, pods in pairs(change) do
      for pod, n in pairs(pods) do
        local field = owner .. '|' .. pod
        if n ~= 0 and redis.call('HINCRBY', held, field, n) <= 0 then redis.call('HDEL', held, field) end
        if n ~= 0 and redis.call('ZSCORE', free, pod) then redis.call('ZINCRBY', free, -n, pod) end
      end
    end
    for owner, pods in pairs(used) do
      for pod, n in pairs(pods) do add_tokens(k.tokens, owner, pod, n) end
    end
  end
  return { take = take, give = give, open = open, keep = keep, whole = whole, keepable = keepable, withhold = withhold }
end
