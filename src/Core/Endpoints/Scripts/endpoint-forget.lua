#!lua flags=allow-oom
-- endpoint-forget: take away the jobs of an endpoint that was deleted, once for each deletion, in one step: what is stored later is another endpoint's.
-- KEYS    forgotten  string "deletion|phase", the last that was done · queue  sorted set ticket entry -> start tag ·
--         meta  hash queued and a counter for each status
-- ARGV    deletion  its token · phase  'first', 'late' (what others stored meanwhile; only after 'first') or 'declare' (the id is to be declared
--         again: also what others stored meanwhile) · rename_count  keys that get the suffix ':deletion|phase', so that what they name can be deleted
--         after them · all  1: no worker is left, tickets of requests go too · forgotten_ms  how long this is remembered
-- RETURN  1, or 0 when it was done before, or the id was declared again
-- After these KEYS follow those that are renamed, then those that are deleted.
local forgotten, queue, meta, kept = KEYS[1], KEYS[2], KEYS[3], 4
local deletion, phase, rename_count, all, forgotten_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

local mark, last = deletion .. '|' .. phase, redis.call('GET', forgotten) or ''
local done = string.sub(last, 1, #deletion + 1) == deletion .. '|' and string.sub(last, #deletion + 2) or nil
if done == phase or done == 'declare' or (phase == 'first' and done) or (phase == 'late' and done ~= 'first') then return 0 end
for i = kept, #KEYS do
  if i >= kept + rename_count then redis.call('UNLINK', KEYS[i])
  elseif redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAME', KEYS[i], KEYS[i] .. ':' .. mark) end
end
if all == '1' then redis.call('UNLINK', queue, meta)
else
  for _, entry in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
    if string.match(entry, '^%d+|job|') then redis.call('ZREM', queue, entry) end
  end
  redis.call('HDEL', meta, 'queued', 'retried', 'mean_ms', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT')
end
redis.call('SET', forgotten, mark, 'PX', forgotten_ms)
return 1
