#!lua flags=allow-oom
-- catalog-manifest: replaces the templates and endpoints of the manifest, and keeps those of the API.
-- KEYS    templates  hash name -> origin, line feed, JSON · endpoints  hash id -> the same ·
--         version  string that changes with each change ·
--         deleted  hash id of a deleted endpoint whose data may still exist -> token of its deletion ·
--         source  "digest|host|unix ms" of the manifest that was applied last ·
--         revisions  hash 'template:NAME' or 'endpoint:ID' -> its last declarations (revisions.part)
-- ARGV    next  the new version, random · digest  of the declarations · host  of the manifest file ·
--         template_count  number of pairs for templates, the others are endpoints · entries...  (name, JSON) each
-- RETURN  'ok'; 'same' if nothing changed; 'clash:NAME' if the name was created through the API; 'deleting:ID' if
--         jobs of a deleted endpoint with that id still exist; 'used:TEMPLATE:ID,ID' if it would delete a template
--         that endpoints of the API use
-- Entries that the manifest no longer declares are deleted.
local templates, endpoints, version, deleted = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local source, revisions, next, digest, host = KEYS[5], KEYS[6], ARGV[1], ARGV[2], ARGV[3]
local template_count, entries = tonumber(ARGV[4]), 5
-- include: revisions

local changed = false
local function compare(key, from, to)
  local wanted = {}
  for i = from, to, 2 do
    local old = redis.call('HGET', key, ARGV[i])
    if old and string.sub(old, 1, 4) == 'api\n' then return nil, ARGV[i] end
    wanted[ARGV[i]] = 'manifest\n' .. ARGV[i + 1]
    if old ~= wanted[ARGV[i]] then changed = true end
  end
  local gone = {}
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if not wanted[all[i]] and string.sub(all[i + 1], 1, 9) == 'manifest\n' then gone[#gone + 1] = all[i] end
  end
  changed = changed or #gone > 0
  return { wanted = wanted, gone = gone }
end

local last = entries + 2 * template_count - 1
local new_templates, clash = compare(templates, entries, last)
if clash then return 'clash:' .. clash end
local new_endpoints, other = compare(endpoints, last + 1, #ARGV)
if other then return 'clash:' .. other end
for id in pairs(new_endpoints.wanted) do
  if redis.call('HEXISTS', deleted, id) == 1 then return 'deleting:' .. id end
end
for _, name in ipairs(new_templates.gone) do
  local users = {}
  local all = redis.call('HGETALL', endpoints)
  for i = 1, #all, 2 do
    local origin, json = string.match(all[i + 1], '^(%a+)\n(.*)$')
    if origin == 'api' and cjson.decode(json).template == name then users[#users + 1] = all[i] end
  end
  table.sort(users)
  if #users > 0 then return 'used:' .. name .. ':' .. table.concat(users, ',') end
end
local time = redis.call('TIME')
redis.call('SET', source, digest .. '|' .. host .. '|' .. time[1] * 1000)
if not changed then return 'same' end
for key, set in pairs({ [templates] = new_templates, [endpoints] = new_endpoints }) do
  local kind = key == templates and 'template:' or 'endpoint:'
  for name, value in pairs(set.wanted) do
    local old = redis.call('HGET', key, name)
    if old ~= value then add_revision(revisions, kind .. name, 'manifest', json_of(value), json_of(old)) end
    redis.call('HSET', key, name, value)
  end
  for _, name in ipairs(set.gone) do
    redis.call('HDEL', key, name)
    redis.call('HDEL', revisions, kind .. name)
  end
end
for _, id in ipairs(new_endpoints.gone) do redis.call('HSET', deleted, id, next) end
redis.call('SET', version, next)
redis.call('PUBLISH', 'sluice:catalog', next)
return 'ok'
