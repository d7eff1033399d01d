#!lua flags=allow-oom
-- job-append: append chunks that an attempt streamed to the replay log of the job.
-- KEYS    chunks  list, the job's stream · streams  hash job -> "bytes|read" of its stream ·
--         running  hash running job -> its run · jobs  hash job -> its submission (see jobstate for these) ·
--         bytes  hash flow -> bytes (see jobbytes)
-- ARGV    id · endpoint · fence · first  index of the first chunk, counted from 0 in this attempt ·
--         max_bytes  of the log · max_all · max_flow  bytes of all jobs of the endpoint, and of the flow; 0: no limit ·
--         pieces...  JSON texts
-- RETURN  {'ok', chunks in the log}, {'stale', 0} rejected by the fence, {'full', bytes}, {'bytes-full' or
--         'flow-bytes-full', bytes of the jobs}, {'diverged', index}, or {'gap', chunks in the log} when the log has
--         fewer chunks than the attempt sent before: Redis lost some
-- A later attempt produces its stream from the beginning: chunks that are in the log already are compared, not
-- appended, so a reader sees neither a gap nor a repetition. If a chunk differs, the streams cannot be joined. Watchers
-- are notified on 'sluice:job:GATEWAY'.
local chunks, streams, running, jobs, bytes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, endpoint, fence, first, max_bytes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local max_all, max_flow, pieces = tonumber(ARGV[6]), tonumber(ARGV[7]), 8
-- include: jobstate
-- include: jobbytes

local _, present, _, _, _, _, _, watchers = string.match(redis.call('HGET', running, id) or '', RUN)
local text = redis.call('HGET', jobs, id)
if present ~= fence or not text then return { 'stale', 0 } end
local held, read = string.match(redis.call('HGET', streams, id) or '0|0', '^(%d+)|(%d+)$')
local have, size, new = redis.call('LLEN', chunks), tonumber(held), {}
if first > have then return { 'gap', have } end
for i = pieces, #ARGV do
  local at = first + i - pieces
  if at < have then
    if redis.call('LINDEX', chunks, at) ~= ARGV[i] then return { 'diverged', at } end
  else
    size = size + #ARGV[i]
    new[#new + 1] = ARGV[i]
  end
end
if size > max_bytes then return { 'full', size } end
if #new > 0 then
  local flow, counted = flow_of(text), counting(bytes)
  local full, has = budget(bytes).over(flow, size - held, max_all, max_flow)
  if full then return { full, has } end
  counted.add(flow, size - held)
  counted.keep()
  redis.call('RPUSH', chunks, unpack(new))
  redis.call('HSET', streams, id, string.format('%d', size) .. '|' .. read)
  for gateway in string.gmatch(watchers, '[^,]+') do
    redis.call('PUBLISH', 'sluice:job:' .. gateway, 'changed|' .. endpoint .. '|' .. id)
  end
end
return { 'ok', have + #new }
