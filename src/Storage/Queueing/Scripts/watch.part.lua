-- watch (part): registers a gateway to be notified when a queued or running job changes, once, in the field that an end
-- reads.
local function watch(watchers, running, id, run, gateway)
  if gateway == '' then return end
  local known = run and string.match(run, '[^|]*$') or redis.call('HGET', watchers, id) or ''
  if string.find(known, gateway, 1, true) then return end
  if run then redis.call('HSET', running, id, run .. (known ~= '' and ',' or '') .. gateway)
  else redis.call('HSET', watchers, id, (known ~= '' and known .. ',' or '') .. gateway) end
end
