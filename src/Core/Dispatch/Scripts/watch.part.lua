-- watch (part): a gateway that wants to be told when a job that waits or runs changes is written down once, where an end looks for it.
local function watch(watched, running, id, run, gateway)
  if gateway == '' then return end
  local known = run and string.match(run, '[^|]*$') or redis.call('HGET', watched, id) or ''
  if string.find(known, gateway, 1, true) then return end
  if run then redis.call('HSET', running, id, run .. (known ~= '' and ',' or '') .. gateway)
  else redis.call('HSET', watched, id, (known ~= '' and known .. ',' or '') .. gateway) end
end
