-- isolated (part): a ticket of work that lost its worker. Such work runs alone: it gets all slots of a worker that has no other work, so that work
-- which kills its worker kills no other work twice. Its number has 9 as its first digit, and its start tag puts it before all others.
local ISOLATED_TAG, ISOLATED_FROM = -2, 900000000000000

local function is_isolated(entry) return string.byte(entry) == 57 end

-- The slots of a pod that a granted ticket holds.
local function slots_of(entry, capacity, pod) return is_isolated(entry) and tonumber(redis.call('HGET', capacity, pod) or 1) or 1 end
