-- revisions (part): the last declarations of a name, the newest first. add_revision() stores one unless it is equal to
-- the newest. A declaration that was stored before revisions existed becomes the first one. The id is the time in ms.
local MAX_REVISIONS = 20

local function add_revision(revisions, field, by, json, old)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local stored = redis.call('HGET', revisions, field)
  local all = stored and cjson.decode(stored) or {}
  if not stored and old and old ~= json then all[1] = { id = now - 1, by = '', json = old } end
  if all[1] and all[1].json == json then return end
  local id = all[1] and math.max(now, all[1].id + 1) or now
  table.insert(all, 1, { id = id, by = by, json = json })
  all[MAX_REVISIONS + 1] = nil
  redis.call('HSET', revisions, field, cjson.encode(all))
end

-- The JSON of a stored declaration; nil without one.
local function json_of(stored) return stored and string.match(stored, '\n(.*)$') or nil end
