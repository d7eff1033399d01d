#!lua flags=allow-oom
-- catalog-apply: creates or replaces several templates and endpoints through the API, all or none.
-- KEYS    templates  hash name -> origin, line feed, JSON · endpoints  hash id -> the same ·
--         version  string that changes with each change ·
--         deleted  hash id of a deleted endpoint whose data may still exist -> token of its deletion ·
--         revisions  hash 'template:NAME' or 'endpoint:ID' -> its last declarations (revisions.part)
-- ARGV    next  the new version, random · by  who makes the change · count  number of triples for templates, the
--         others are endpoints · entries...  (name, JSON, template of the endpoint) each
-- RETURN  'ok'; 'same' if nothing changed; 'manifest:NAME' if the manifest declares an entry differently;
--         'no-template:ID' if the template of an endpoint is missing; 'deleting:ID' if jobs of a deleted endpoint
--         with that id still exist
local templates, endpoints, version, deleted, revisions = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local next, by, count, entries = ARGV[1], ARGV[2], tonumber(ARGV[3]), 4
-- include: revisions

local changes, declared = {}, {}
for i = entries, #ARGV, 3 do
  local is_template = i < entries + 3 * count
  local name, json, into = ARGV[i], ARGV[i + 1], is_template and templates or endpoints
  local old = redis.call('HGET', into, name)
  if is_template then declared[name] = true
  elseif not declared[ARGV[i + 2]] and redis.call('HEXISTS', templates, ARGV[i + 2]) == 0 then
    return 'no-template:' .. name
  end
  if json_of(old) ~= json then
    if old and string.sub(old, 1, 9) == 'manifest\n' then return 'manifest:' .. name end
    if not is_template and redis.call('HEXISTS', deleted, name) == 1 then return 'deleting:' .. name end
    changes[#changes + 1] = { into, name, json, is_template and 'template:' or 'endpoint:', json_of(old) }
  end
end
if #changes == 0 then return 'same' end
for _, change in ipairs(changes) do
  redis.call('HSET', change[1], change[2], 'api\n' .. change[3])
  add_revision(revisions, change[4] .. change[2], by, change[3], change[5])
end
redis.call('SET', version, next)
redis.call('PUBLISH', 'sluice:catalog', next)
return 'ok'
