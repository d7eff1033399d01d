-- free (part): returns slots of a pod, at most as many as the holder has. The result is the number of returned slots.
local function give_back(held, free, holder, pod, wanted)
  local field = holder .. '|' .. pod
  local n = math.min(wanted, tonumber(redis.call('HGET', held, field) or 0))
  if n <= 0 then return 0 end
  if redis.call('HINCRBY', held, field, -n) == 0 then redis.call('HDEL', held, field) end
  if redis.call('ZSCORE', free, pod) then redis.call('ZINCRBY', free, n, pod) end
  return n
end
