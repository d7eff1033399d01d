#!lua flags=allow-oom
-- job-append: add what an attempt streamed to the job's replay log.
-- KEYS    chunks  list, the job's stream · streams  hash job -> "bytes|read": of its stream · running  hash running job -> its run ·
--         asked  hash job -> what was asked (for these see jobstate) · bytes  hash flow -> bytes (see jobbytes)
-- ARGV    id · endpoint · fence · first  index of the first chunk given, counted from 0 in this attempt ·
--         max_bytes  the log may hold · max_all · max_flow  bytes of all the endpoint's jobs, and of the flow's; 0: no limit · pieces...  JSON texts
-- RETURN  {'ok', chunks in the log}, {'stale', 0} refused by the fence, {'full', bytes}, {'bytes-full' or 'flow-bytes-full', bytes of the jobs},
--         {'diverged', index}, or {'gap', chunks in the log} when the log has fewer chunks than the attempt sent before: Redis lost some
-- A later attempt produces its stream from the beginning: what is in the log already is compared, not added, so that a
-- reader sees neither a gap nor a repeat. Where it differs the two cannot be joined. Watchers are told on 'sluice:job:GATEWAY'.
local chunks, streams, running, asked, bytes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, endpoint, fence, first, max_bytes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local max_all, max_flow, pieces = tonumber(ARGV[6]), tonumber(ARGV[7]), 8
-- include: jobstate
-- include: jobbytes

local _, present, _, _, _, _, _, watchers = string.match(redis.call('HGET', running, id) or '', RUN)
local text = redis.call('HGET', asked, id)
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
