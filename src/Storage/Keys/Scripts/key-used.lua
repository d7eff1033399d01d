#!lua flags=allow-oom
-- key-used: records when API keys were last used. Gateways call it in any order: the latest time stays.
-- KEYS    keys  hash key id -> record (JSON) · used  hash key id -> unix s of its last use
-- ARGV    uses...  id of a key and unix s, of each
-- RETURN  the number of keys whose time changed
local keys, used = KEYS[1], KEYS[2]

local uses = 1

local changed = 0
for i = uses, #ARGV, 2 do
  local id, time = ARGV[i], tonumber(ARGV[i + 1])
  -- A deleted key gets no entry: nothing would remove it.
  if tonumber(redis.call('HGET', used, id) or 0) < time and redis.call('HEXISTS', keys, id) == 1 then
    redis.call('HSET', used, id, ARGV[i + 1])
    changed = changed + 1
  end
end
return changed
