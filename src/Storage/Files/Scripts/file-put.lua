#!lua
-- file-put: store the record of a file, once.
-- KEYS    files  hash file -> "owner|created|expires or 0|bytes|purpose|name\n@blob", times in Unix seconds ·
--         of  sorted set file of this owner -> created (Unix ms) · bytes  hash owner -> bytes of its files ·
--         expiry  sorted set file -> when it is deleted (Unix ms)
-- ARGV    id · owner · size  in bytes · purpose · name · blob  "@blob" ·
--         keep_ms  how long the file is kept; 0: without an end ·
--         max_files  files that the owner may have; 0: no limit ·
--         max_bytes  the same for bytes
-- RETURN  {'ok', record}, {'same', record of the file that has this id already}, or {'files' or 'bytes', what the owner
--         has}: a limit is exceeded
local files, of, bytes, expiry = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, owner, size, purpose = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local name, blob, keep_ms = ARGV[5], ARGV[6], tonumber(ARGV[7])
local max_files, max_bytes = tonumber(ARGV[8]), tonumber(ARGV[9])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HGET', files, id)
if known then return { 'same', known } end
local count, held = redis.call('ZCARD', of), tonumber(redis.call('HGET', bytes, owner) or 0)
if max_files > 0 and count >= max_files then return { 'files', tostring(count) } end
if max_bytes > 0 and held + size > max_bytes then return { 'bytes', string.format('%d', held) } end
local expires = keep_ms > 0 and string.format('%d', math.floor((now + keep_ms) / 1000)) or '0'
local record = table.concat({ owner, time[1], expires, string.format('%d', size), purpose, name }, '|') .. '\n' .. blob
redis.call('HSET', files, id, record)
redis.call('ZADD', of, string.format('%d', now), id)
redis.call('HINCRBY', bytes, owner, string.format('%d', size))
if keep_ms > 0 then redis.call('ZADD', expiry, string.format('%d', now + keep_ms), id) end
return { 'ok', record }
