#!lua flags=allow-oom
-- job-chunks: read the next part of a job's stream, and have this gateway told when there is more.
-- KEYS    job  hash, the job itself · chunks  list, its stream
-- ARGV    from  index of the first chunk wanted; '': what was not read by such a call yet · max  chunks in one answer ·
--         max_bytes  of one answer, but for a single larger chunk · gateway
-- RETURN  {status or '', expired or '', index of the first chunk, chunks in the log, [chunk, ..]}
local job, chunks = KEYS[1], KEYS[2]
local from, max, max_bytes, gateway = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

local was = redis.call('HMGET', job, 'state', 'expired', 'drained', 'watchers')
if not was[1] then return { '', '', 0, 0, {} } end
local status = string.match(was[1], '^[^|]*')
local start = tonumber(from ~= '' and from or was[3] or 0)
local total, part, bytes = redis.call('LLEN', chunks), {}, 0
for at = start, math.min(total, start + max) - 1 do
  local chunk = redis.call('LINDEX', chunks, at)
  bytes = bytes + #chunk
  if bytes > max_bytes and #part > 0 then break end
  part[#part + 1] = chunk
end
if from == '' and #part > 0 then redis.call('HSET', job, 'drained', start + #part) end
if (status == 'IN_QUEUE' or status == 'IN_PROGRESS') and not string.find(was[4] or '', gateway, 1, true) then
  redis.call('HSET', job, 'watchers', (was[4] and was[4] .. ',' or '') .. gateway)
end
return { status, was[2] or '', start, total, part }
