#!lua flags=allow-oom
-- catalog-delete: deletes a template or an endpoint that was created through the API.
-- KEYS    templates  hash name -> origin, line feed, JSON · endpoints  hash id -> the same ·
--         version  string that changes with each change ·
--         deleted  hash id of a deleted endpoint whose data may still exist -> token of its deletion
-- ARGV    next  the new version, random · kind  'template' or 'endpoint' · name · dry  1: nothing is deleted
-- RETURN  'ok'; 'unknown'; 'manifest' if the manifest declares the name; 'used:ID' if endpoint ID uses the template
local templates, endpoints, version, deleted = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local next, kind, name, dry = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local from = kind == 'template' and templates or endpoints
local old = redis.call('HGET', from, name)
if not old then return 'unknown' end
if string.sub(old, 1, 9) == 'manifest\n' then return 'manifest' end
if kind == 'template' then
  local all = redis.call('HGETALL', endpoints)
  for i = 1, #all, 2 do
    local json = string.match(all[i + 1], '\n(.*)$')
    if cjson.decode(json).template == name then return 'used:' .. all[i] end
  end
end
if dry == '1' then return 'ok' end
redis.call('HDEL', from, name)
if kind == 'endpoint' then redis.call('HSET', deleted, name, next) end
redis.call('SET', version, next)
redis.call('PUBLISH', 'sluice:catalog', next)
return 'ok'
