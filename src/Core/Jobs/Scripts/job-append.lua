-- job-append: add what an attempt streamed to the job's replay log.
-- KEYS    job  hash, the job itself · chunks  list, its stream
-- ARGV    id · endpoint · attempt · first  index of the first chunk given, counted from 0 in this attempt ·
--         max_bytes  the log may hold · pieces...  JSON texts
-- RETURN  {'ok', chunks in the log}, {'stale', 0} refused by the fence, {'full', bytes} or {'diverged', index}
-- A later attempt produces its stream from the beginning: what is in the log already is compared, not added, so that a
-- reader sees neither a gap nor a repeat. Where it differs the two cannot be joined. Watchers are told on 'sluice:job:GATEWAY'.
local job, chunks = KEYS[1], KEYS[2]
local id, endpoint, attempt, first, max_bytes, pieces = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), 6

local was = redis.call('HMGET', job, 'state', 'chunk_bytes', 'watchers')
if not string.find(was[1] or '', 'IN_PROGRESS|' .. attempt .. '|', 1, true) then return { 'stale', 0 } end
local have, bytes, new = redis.call('LLEN', chunks), tonumber(was[2] or 0), {}
for i = pieces, #ARGV do
  local at = first + i - pieces
  if at < have then
    if redis.call('LINDEX', chunks, at) ~= ARGV[i] then return { 'diverged', at } end
  else
    bytes = bytes + #ARGV[i]
    new[#new + 1] = ARGV[i]
  end
end
if bytes > max_bytes then return { 'full', bytes } end
if #new > 0 then
  redis.call('RPUSH', chunks, unpack(new))
  redis.call('HSET', job, 'chunk_bytes', bytes)
  for gateway in string.gmatch(was[3] or '', '[^,]+') do
    redis.call('PUBLISH', 'sluice:job:' .. gateway, 'changed|' .. endpoint .. '|' .. id)
  end
end
return { 'ok', have + #new }
