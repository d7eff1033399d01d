#!lua flags=allow-oom
-- catalog-put: creates or replaces a template or an endpoint through the API.
-- KEYS    templates  hash name -> origin, line feed, JSON · endpoints  hash id -> the same ·
--         version  string that changes with each change ·
--         deleted  hash id of a deleted endpoint whose data may still exist -> token of its deletion ·
--         revisions  hash 'template:NAME' or 'endpoint:ID' -> its last declarations (revisions.part)
-- ARGV    next  the new version, random · kind  'template' or 'endpoint' · name · value  JSON ·
--         template  the endpoint's template · create  1: an existing entry is rejected · dry  1: nothing is written ·
--         by  who makes the change · expected  SHA-1 of the JSON that it replaces; '' for any
-- RETURN  'ok' if it replaced an entry; 'created'; 'exists' if create is 1 and the name is in use;
--         'manifest' if the manifest declares the name; 'no-template' if the endpoint's template is missing;
--         'changed' if the entry is not the expected one; 'deleting:ID' if jobs of a deleted endpoint with that id
--         still exist
local templates, endpoints, version, deleted, revisions = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local next, kind, name, value, template = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local create, dry, by, expected = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
-- include: revisions

local into = kind == 'template' and templates or endpoints
local old = redis.call('HGET', into, name)
if old and string.sub(old, 1, 9) == 'manifest\n' then return 'manifest' end
if old and create == '1' then return 'exists' end
if expected ~= '' and (not old or redis.sha1hex(json_of(old)) ~= expected) then return 'changed' end
if kind == 'endpoint' and redis.call('HEXISTS', templates, template) == 0 then return 'no-template' end
if kind == 'endpoint' and not old and dry ~= '1' and redis.call('HEXISTS', deleted, name) == 1 then
  return 'deleting:' .. name
end
if dry ~= '1' then
  redis.call('HSET', into, name, 'api\n' .. value)
  add_revision(revisions, kind .. ':' .. name, by, value, json_of(old))
  redis.call('SET', version, next)
  redis.call('PUBLISH', 'sluice:catalog', next)
end
return old and 'ok' or 'created'
