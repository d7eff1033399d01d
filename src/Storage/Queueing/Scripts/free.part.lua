-- free (part, after room): returns slots of a pod, at most as many as the holder has, and their tokens. The last slot
-- returns all tokens that are left. The result is the number of returned slots.
local function give_back(held, free, holder, pod, wanted, tokens, unused)
  local field = holder .. '|' .. pod
  local n = math.min(wanted, tonumber(redis.call('HGET', held, field) or 0))
  if n <= 0 then return 0 end
  local left = redis.call('HINCRBY', held, field, -n)
  if left == 0 then redis.call('HDEL', held, field) end
  add_tokens(tokens, holder, pod, left == 0 and -2 ^ 53 or -unused)
  if redis.call('ZSCORE', free, pod) then redis.call('ZINCRBY', free, n, pod) end
  return n
end
