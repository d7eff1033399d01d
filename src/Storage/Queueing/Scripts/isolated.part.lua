-- isolated (part): tickets of work that lost its worker. Such work is isolated: it gets all slots of a worker without
-- other work, so that work which crashes its worker does not affect other work twice. The ticket number has 9 as its
-- first digit, and the start tag sorts before all other tickets.
local ISOLATED_TAG, ISOLATED_FROM = -2, 900000000000000

local function is_isolated(entry) return string.byte(entry) == 57 end

-- Returns the number of slots of a pod that a granted ticket holds.
local function slots_of(entry, capacity, pod)
  return is_isolated(entry) and tonumber(redis.call('HGET', capacity, pod) or 1) or 1
end
