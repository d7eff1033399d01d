#!lua flags=allow-oom
-- abandon: take tickets whose callers have gone out of the queue, or give back the slots they were granted meanwhile.
-- KEYS    held  hash "holder|pod" -> slots · free  sorted set ready pod -> free slots ·
--         queue  sorted set ticket entry -> start tag · grants  hash ticket entry -> "holder|pod|unix ms"
-- ARGV    entries...  ticket entries of the caller's own
-- RETURN  {entries taken out of the queue, slots freed}
local held, free, queue, grants = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local entries = 1

local removed, freed = 0, 0
for i = entries, #ARGV do
  local grant = redis.call('HGET', grants, ARGV[i])
  removed = removed + redis.call('ZREM', queue, ARGV[i])
  if grant then
    local owner, pod = string.match(grant, '^([^|]+)|([^|]+)|')
    local field = owner .. '|' .. pod
    redis.call('HDEL', grants, ARGV[i])
    if redis.call('HEXISTS', held, field) == 1 then
      if redis.call('HINCRBY', held, field, -1) == 0 then redis.call('HDEL', held, field) end
      if redis.call('ZSCORE', free, pod) then redis.call('ZINCRBY', free, 1, pod) end
      freed = freed + 1
    end
  end
end
return { removed, freed }
