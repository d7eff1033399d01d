#!lua flags=allow-oom
-- abandon: remove tickets whose callers are gone from the queue, and return the slots that they were granted.
-- KEYS    held  hash "holder|pod" -> slots · free  sorted set ready pod -> free slots ·
--         queue  sorted set ticket entry -> start tag · grants  hash ticket entry -> "holder|pod|Unix ms" ·
--         capacity  hash pod -> slots · token_capacity  hash pod -> how many tokens it can hold ·
--         tokens  hash tokens in flight (see room)
-- ARGV    entries...  ticket entries of the caller
-- RETURN  {entries removed from the queue, slots freed}
local held, free, queue, grants, capacity = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token_capacity, tokens = KEYS[6], KEYS[7]
local entries = 1
-- include: isolated
-- include: room
-- include: free

local removed, freed = 0, 0
for i = entries, #ARGV do
  local grant = redis.call('HGET', grants, ARGV[i])
  removed = removed + redis.call('ZREM', queue, ARGV[i])
  if grant then
    local owner, pod = string.match(grant, '^([^|]+)|([^|]+)|')
    redis.call('HDEL', grants, ARGV[i])
    freed = freed + give_back(held, free, owner, pod, slots_of(ARGV[i], capacity, pod), tokens,
      charge(redis.call('HGET', token_capacity, pod), tokens_of(ARGV[i])))
  end
end
return { removed, freed }
