#!lua flags=allow-oom
-- job-chunks: read the next part of a job's stream, and register this gateway to be notified when there is more.
-- KEYS    chunks  list, the job's stream · streams  hash job -> "bytes|read" of its stream ·
--         running  hash running job -> its run · jobs  hash job -> its submission ·
--         watchers  hash queued job -> gateways to notify ·
--         results  hash ended job -> its result (see jobstate for all these) ·
--         expired  hash job -> its remaining record (see expired) · expired_before  the same for older jobs
-- ARGV    from  index of the first chunk; '': the first chunk that no such call has read yet ·
--         max  chunks in one result · max_bytes  of one result, exceeded only by a single larger chunk · gateway · id
-- RETURN  {status or '', 1 when its data was deleted, index of the first chunk, chunks in the log, [chunk, ..]}
local chunks, streams, running, jobs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local watchers, results, expired, expired_before = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local from, max, max_bytes, gateway, id = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
-- include: watch
-- include: expired

if redis.call('HEXISTS', jobs, id) == 0 then
  local head, last = find_expired(expired, expired_before, id)
  return { head and string.match(last, '^[^|]+') or '', head and 1 or 0, 0, 0, {} }
end
local result = redis.call('HGET', results, id)
local run = not result and redis.call('HGET', running, id)
local status = result and string.match(result, '^[^|]+') or run and 'IN_PROGRESS' or 'IN_QUEUE'
local held, read = string.match(redis.call('HGET', streams, id) or '0|0', '^(%d+)|(%d+)$')
local start = tonumber(from ~= '' and from or read)
local total, part, bytes = redis.call('LLEN', chunks), {}, 0
for at = start, math.min(total, start + max) - 1 do
  local chunk = redis.call('LINDEX', chunks, at)
  bytes = bytes + #chunk
  if bytes > max_bytes and #part > 0 then break end
  part[#part + 1] = chunk
end
if from == '' and #part > 0 then redis.call('HSET', streams, id, held .. '|' .. string.format('%d', start + #part)) end
if not result then watch(watchers, running, id, run, gateway) end
return { status, 0, start, total, part }
