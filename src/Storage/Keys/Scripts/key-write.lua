#!lua flags=allow-oom
-- key-write: create, replace or delete an API key, and record the change.
-- KEYS    keys  hash key id -> record (JSON) · version  string, another value after each change ·
--         changes  list of "version|key id", the newest first · used  hash key id -> unix s of its last use
-- ARGV    id · record  '' to delete the key · after  the version after this change, random ·
--         kept  how many changes stay in the list · before  the record that is replaced, '' for any or none ·
--         others...  for a deletion that must leave a key of its kind: keys of which one must exist
-- RETURN  1; 0 when there is no such key; -1 when none of the others exists; -2 when the key has another record than
--         before: then nothing changes
local keys, version, changes, used = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, record, after, kept, before = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

if record == '' or before ~= '' then
  local current = redis.call('HGET', keys, id)
  if not current then return 0 end
  if before ~= '' and current ~= before then return -2 end
end
local others = 6
local alone = #ARGV >= others
for i = others, #ARGV do
  if redis.call('HEXISTS', keys, ARGV[i]) == 1 then alone = false break end
end
if alone then return -1 end
if record ~= '' then redis.call('HSET', keys, id, record)
else
  redis.call('HDEL', keys, id)
  redis.call('HDEL', used, id)
end
redis.call('SET', version, after)
redis.call('LPUSH', changes, after .. '|' .. id)
redis.call('LTRIM', changes, 0, kept - 1)
redis.call('PUBLISH', 'sluice:keys', id)
return 1
