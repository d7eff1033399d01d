#!lua flags=allow-oom
-- catalog-put: create or replace one template or endpoint through the API.
-- KEYS    templates  hash name -> origin, line end, JSON · endpoints  hash id -> the same · version  counter
-- ARGV    kind  'template' or 'endpoint' · name · value  JSON · template  an endpoint's template
-- RETURN  'ok'; 'manifest' when the manifest owns the name; 'no-template' when the endpoint's template is missing
local templates, endpoints, version = KEYS[1], KEYS[2], KEYS[3]
local kind, name, value, template = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local into = kind == 'template' and templates or endpoints
local old = redis.call('HGET', into, name)
if old and string.sub(old, 1, 9) == 'manifest\n' then return 'manifest' end
if kind == 'endpoint' and redis.call('HEXISTS', templates, template) == 0 then return 'no-template' end
redis.call('HSET', into, name, 'api\n' .. value)
redis.call('PUBLISH', 'sluice:catalog', redis.call('INCR', version))
return 'ok'
