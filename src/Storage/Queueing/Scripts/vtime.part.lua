-- vtime (part): virtual time is the start tag of the last ticket that was granted or dropped. Tickets of low priority
-- come after all others: when one of them is granted, no other ticket waits.
local function pass(k, low, entry)
  local tag = tonumber(redis.call('ZSCORE', k.queue, entry))
  if tag >= low then
    redis.call('HSET', k.meta, 'low_vtime', tag)
    tag = tonumber(redis.call('ZREVRANGEBYSCORE', k.queue, '(' .. string.format('%d', low), 0,
      'WITHSCORES', 'LIMIT', 0, 1)[2] or -1)
  end
  if tag >= 0 then redis.call('HSET', k.meta, 'vtime', tag) end
end
