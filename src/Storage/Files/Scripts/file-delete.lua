#!lua flags=allow-oom
-- file-delete: delete the records of files: of one file, or of all that have expired.
-- KEYS    files  hash file -> its record (see file-put) · of  prefix of sorted sets, the files of an owner ·
--         bytes  hash owner -> bytes of its files · expiry  sorted set file -> when it is deleted (Unix ms)
-- ARGV    id  '' for the files that have expired · owner  of that file · max  files to delete in one call
-- RETURN  [reference "@blob" of each deleted record, ..]
local files, of, bytes, expiry = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, owner, max = ARGV[1], ARGV[2], tonumber(ARGV[3])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids, references = { id }, {}
if id == '' then ids = redis.call('ZRANGEBYSCORE', expiry, '-inf', now, 'LIMIT', 0, max) end
for _, each in ipairs(ids) do
  local record = redis.call('HGET', files, each) or ''
  local who, size, blob = string.match(record, '^([^|]*)|%d+|%d+|(%d+)|.*\n(@%x+)$')
  if who and (id == '' or who == owner) then
    references[#references + 1] = blob
    redis.call('HDEL', files, each)
    redis.call('ZREM', of .. who, each)
    if redis.call('HINCRBY', bytes, who, -size) <= 0 then redis.call('HDEL', bytes, who) end
  end
  if who or id == '' then redis.call('ZREM', expiry, each) end
end
return references
