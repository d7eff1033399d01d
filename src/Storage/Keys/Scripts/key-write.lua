#!lua flags=allow-oom
-- key-write: create or delete an API key, and record the change.
-- KEYS    keys  hash key id -> record (JSON) · version  string, another value after each change ·
--         changes  list of "version|key id", the newest first
-- ARGV    id · record  '' to delete the key · after  the version after this change, random ·
--         kept  how many changes stay in the list
-- RETURN  1, or 0 when there is no key to delete: then nothing changes
local keys, version, changes = KEYS[1], KEYS[2], KEYS[3]
local id, record, after, kept = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

if record ~= '' then redis.call('HSET', keys, id, record)
elseif redis.call('HDEL', keys, id) == 0 then return 0 end
redis.call('SET', version, after)
redis.call('LPUSH', changes, after .. '|' .. id)
redis.call('LTRIM', changes, 0, kept - 1)
redis.call('PUBLISH', 'sluice:keys', id)
return 1
