#!lua flags=no-writes
-- key-read: which API keys changed since a version.
-- KEYS    keys  hash key id -> record (JSON) · version  string, another value after each change ·
--         changes  list of "version|key id", the newest first
-- ARGV    since  the version that the caller has · page  entries of the list that are read together
-- RETURN  {version, 'same'}, {version, 'some', [id, record or '' of a deleted key, ..]}, or {version, 'all', [id,
--         record, ..]} when the list does not
--         have the caller's version: too many changes, another Redis, or a Redis that lost its last writes
local keys, version, changes = KEYS[1], KEYS[2], KEYS[3]
local since, page = ARGV[1], tonumber(ARGV[2])

local now = redis.call('GET', version) or ''
if now == since then return { now, 'same' } end

-- The ids changed since then; nil: the list does not say. A version that is not the newest entry's was written without
-- an entry.
local function changed()
  local ids, from = {}, 0
  while true do
    local entries = redis.call('LRANGE', changes, from, from + page - 1)
    for i, entry in ipairs(entries) do
      local after, id = string.match(entry, '^([^|]+)|(.*)$')
      if from + i == 1 and after ~= now then return nil end
      if after == since then return ids end
      ids[#ids + 1] = id
    end
    if #entries < page then return nil end
    from = from + page
  end
end

local ids = changed()
if not ids then return { now, 'all', redis.call('HGETALL', keys) } end
local some = {}
for i, record in ipairs(redis.call('HMGET', keys, unpack(ids))) do
  some[2 * i - 1], some[2 * i] = ids[i], record or ''
end
return { now, 'some', some }
