#!lua flags=allow-oom
-- job-chunks: read the next part of a job's stream, and have this gateway told when there is more.
-- KEYS    job  hash, the job itself · chunks  list, its stream · running  hash running job -> its run (see jobstate) ·
--         gone  hash job -> what is left of it (see buried) · gone_before  the same of earlier jobs
-- ARGV    from  index of the first chunk wanted; '': what was not read by such a call yet · max  chunks in one answer ·
--         max_bytes  of one answer, but for a single larger chunk · gateway · id
-- RETURN  {status or '', expired or '', index of the first chunk, chunks in the log, [chunk, ..]}
local job, chunks, running, gone, gone_before = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local from, max, max_bytes, gateway, id = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
-- include: watch
-- include: tombs

local was = redis.call('HMGET', job, 'spec', 'end', 'drained', 'watchers')
if not was[1] then
  local tomb = buried(gone, gone_before, id)
  return { tomb and string.match(tomb['end'], '^[^|]+') or '', tomb and tomb.expired or '', 0, 0, {} }
end
local run = not was[2] and redis.call('HGET', running, id)
local status = was[2] and string.match(was[2], '^[^|]+') or run and 'IN_PROGRESS' or 'IN_QUEUE'
local start = tonumber(from ~= '' and from or was[3] or 0)
local total, part, bytes = redis.call('LLEN', chunks), {}, 0
for at = start, math.min(total, start + max) - 1 do
  local chunk = redis.call('LINDEX', chunks, at)
  bytes = bytes + #chunk
  if bytes > max_bytes and #part > 0 then break end
  part[#part + 1] = chunk
end
if from == '' and #part > 0 then redis.call('HSET', job, 'drained', start + #part) end
if not was[2] then watch(job, running, id, run, was[4], gateway) end
return { status, '', start, total, part }
