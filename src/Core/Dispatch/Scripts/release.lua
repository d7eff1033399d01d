#!lua flags=allow-oom
-- release: give back slots (or none), then grant free slots to the waiting tickets in their order.
-- KEYS    leases  sorted set holder -> lease expiry (unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         meta  hash seq, vtime, completed · grants  hash ticket entry -> "holder|pod|unix ms"
-- ARGV    holder  '' when nothing is given back · endpoint · slots...  (pod, count) each
-- RETURN  {'ok' or 'lost', depth, [entry, pod, ..] granted to this holder's own tickets}
-- A grant to another holder's ticket waits in grants until that holder accepts it, and is published on
-- 'sluice:grant:GATEWAY'. Tickets past their deadline, or of a holder without lease, are dropped on the way. More is
-- never given back than is held: a late or repeated release cannot make slots.
local leases, held, free = KEYS[1], KEYS[2], KEYS[3]
local queue, meta, grants = KEYS[4], KEYS[5], KEYS[6]
local holder, endpoint, slots = ARGV[1], ARGV[2], 3

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local status = redis.call('ZSCORE', leases, holder) and 'ok' or 'lost'
local mine = {}

if status == 'ok' then
  for i = slots, #ARGV, 2 do
    local pod, field = ARGV[i], holder .. '|' .. ARGV[i]
    local has = tonumber(redis.call('HGET', held, field) or 0)
    local count = math.min(tonumber(ARGV[i + 1]), has)
    if count > 0 then
      if count == has then redis.call('HDEL', held, field) else redis.call('HINCRBY', held, field, -count) end
      if redis.call('ZSCORE', free, pod) then redis.call('ZINCRBY', free, count, pod) end
    end
  end
end

while true do
  local head = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  if not head[1] then break end
  local entry = head[1]
  local owner, deadline = string.match(entry, '^%d+|([^|]+)|[^|]+|%d+|(%d+)|')
  if tonumber(deadline) <= now or not redis.call('ZSCORE', leases, owner) then
    redis.call('ZREM', queue, entry)
  else
    local top = redis.call('ZREVRANGE', free, 0, 0, 'WITHSCORES')
    if not top[1] or tonumber(top[2]) < 1 then break end
    redis.call('ZREM', queue, entry)
    redis.call('ZINCRBY', free, -1, top[1])
    redis.call('HINCRBY', held, owner .. '|' .. top[1], 1)
    if tonumber(head[2]) >= 0 then redis.call('HSET', meta, 'vtime', head[2]) end
    if owner == holder then
      mine[#mine + 1] = entry
      mine[#mine + 1] = top[1]
    else
      redis.call('HSET', grants, entry, owner .. '|' .. top[1] .. '|' .. now)
      local gateway = string.match(owner, '^[^~]+')
      redis.call('PUBLISH', 'sluice:grant:' .. gateway, endpoint .. '\n' .. entry .. '\n' .. top[1])
    end
  end
end
return { status, redis.call('ZCARD', queue), mine }
