#!lua flags=allow-oom
-- catalog-delete: deletes a template or an endpoint that was created through the API.
-- KEYS    templates  hash name -> origin, line feed, JSON · endpoints  hash id -> the same ·
--         version  string that changes with each change ·
--         deleted  hash id of a deleted endpoint whose data may still exist -> token of its deletion ·
--         revisions  hash 'template:NAME' or 'endpoint:ID' -> its last declarations (revisions.part)
-- ARGV    next  the new version, random · kind  'template' or 'endpoint' · name · dry  1: nothing is deleted ·
--         expected  SHA-1 of the JSON that it deletes; '' for any
-- RETURN  'ok'; 'unknown'; 'manifest' if the manifest declares the name; 'changed' if the entry is not the expected
--         one; 'used:ID' if endpoint ID uses the template
local templates, endpoints, version, deleted, revisions = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local next, kind, name, dry, expected = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
-- include: revisions

local from = kind == 'template' and templates or endpoints
local old = redis.call('HGET', from, name)
if not old then return 'unknown' end
if string.sub(old, 1, 9) == 'manifest\n' then return 'manifest' end
if expected ~= '' and redis.sha1hex(json_of(old)) ~= expected then return 'changed' end
if kind == 'template' then
  local all = redis.call('HGETALL', endpoints)
  for i = 1, #all, 2 do
    if cjson.decode(json_of(all[i + 1])).template == name then return 'used:' .. all[i] end
  end
end
if dry == '1' then return 'ok' end
redis.call('HDEL', from, name)
redis.call('HDEL', revisions, kind .. ':' .. name)
if kind == 'endpoint' then redis.call('HSET', deleted, name, next) end
redis.call('SET', version, next)
redis.call('PUBLISH', 'sluice:catalog', next)
return 'ok'
