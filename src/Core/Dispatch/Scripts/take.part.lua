-- take, give, openings (part): book one slot of the worker that has most free ones, or nil; give slots of one worker back, never
-- more than are held; and book many, read once and written down by keep(); left() tells how many can be booked yet.
local function take(free, held, owner)
  local top = redis.call('ZREVRANGE', free, 0, 0, 'WITHSCORES')
  if not top[1] or tonumber(top[2]) < 1 then return nil end
  redis.call('ZINCRBY', free, -1, top[1])
  redis.call('HINCRBY', held, owner .. '|' .. top[1], 1)
  return top[1]
end

local function give(free, held, owner, pod, wanted)
  local field = owner .. '|' .. pod
  local has = tonumber(redis.call('HGET', held, field) or 0)
  local count = math.min(wanted, has)
  if count <= 0 then return 0 end
  if count == has then redis.call('HDEL', held, field) else redis.call('HINCRBY', held, field, -count) end
  if redis.call('ZSCORE', free, pod) then redis.call('ZINCRBY', free, count, pod) end
  return count
end

local function openings(free, held)
  local left, taken, total = redis.call('ZRANGE', free, 0, -1, 'WITHSCORES'), {}, 0
  for i = 2, #left, 2 do
    left[i] = tonumber(left[i])
    total = total + math.max(0, left[i])
  end
  local function take(owner)
    local best
    for i = 1, #left, 2 do
      -- Of equals the last by name, as a reversed range has them.
      if left[i + 1] >= 1 and (not best or left[i + 1] > left[best + 1] or (left[i + 1] == left[best + 1] and left[i] > left[best])) then best = i end
    end
    if not best then return nil end
    left[best + 1], total = left[best + 1] - 1, total - 1
    local field = owner .. '|' .. left[best]
    taken[field] = (taken[field] or 0) + 1
    return left[best]
  end
  local function keep()
    for field, n in pairs(taken) do
      redis.call('HINCRBY', held, field, n)
      redis.call('ZINCRBY', free, -n, string.match(field, '|(.+)$'))
    end
  end
  return { take = take, keep = keep, left = function() return total end }
end
