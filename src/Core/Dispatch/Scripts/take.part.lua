-- take, give (part): book one slot of the worker that has most free ones, or nil; and give slots of one worker back,
-- never more than are held.
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
