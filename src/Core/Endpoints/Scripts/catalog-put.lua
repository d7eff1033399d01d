#!lua flags=allow-oom
-- catalog-put: create or replace one template or endpoint through the API.
-- KEYS    templates  hash name -> origin, line end, JSON · endpoints  hash id -> the same · version  string, another one after each change ·
--         deleted  hash id of an endpoint of which something may be left -> token of its deletion
-- ARGV    next  version, random · kind  'template' or 'endpoint' · name · value  JSON · template  an endpoint's template ·
--         create  1: an entry of this name is refused · dry  1: nothing is written
-- RETURN  'ok' when it replaced an entry; 'created'; 'exists' when create is 1 and the name is used;
--         'manifest' when the manifest owns the name; 'no-template' when the endpoint's template is missing;
--         'deleting:ID' when the jobs of an earlier endpoint of that id are still there
local templates, endpoints, version, deleted = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local next, kind, name, value, template = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local create, dry = ARGV[6], ARGV[7]

local into = kind == 'template' and templates or endpoints
local old = redis.call('HGET', into, name)
if old and string.sub(old, 1, 9) == 'manifest\n' then return 'manifest' end
if old and create == '1' then return 'exists' end
if kind == 'endpoint' and redis.call('HEXISTS', templates, template) == 0 then return 'no-template' end
if kind == 'endpoint' and not old and dry ~= '1' and redis.call('HEXISTS', deleted, name) == 1 then return 'deleting:' .. name end
if dry ~= '1' then
  redis.call('HSET', into, name, 'api\n' .. value)
  redis.call('SET', version, next)
  redis.call('PUBLISH', 'sluice:catalog', next)
end
return old and 'ok' or 'created'
