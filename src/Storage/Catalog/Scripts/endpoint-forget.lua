#!lua flags=allow-oom
-- endpoint-forget: deletes the jobs of a deleted endpoint in one step, once per deletion and phase. Data that is
-- stored later belongs to another endpoint.
-- KEYS    forgotten  string "deletion|phase", the last completed phase ·
--         queue  sorted set ticket entry -> start tag · meta  hash queued and a counter for each status ·
--         ledger  sorted set of the hashes of usage, and their prefix (see ledger)
-- ARGV    deletion  its token · phase  'first', 'late' (data that other gateways stored after 'first') or 'declare'
--         (the id is declared again; includes the data of 'late') · rename_count  number of keys that get the suffix
--         ':deletion|phase', so that the data that they refer to can be deleted later · all  1: no worker is left, so
--         tickets of requests are deleted too · forgotten_ms  how long the completed phase is stored
-- RETURN  1, or 0 if the phase was already completed or the id was declared again
-- The KEYS after these are the keys to rename, then the keys to delete.
local forgotten, queue, meta, ledger, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], 5
local deletion, phase, rename_count, all, forgotten_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

local mark, last = deletion .. '|' .. phase, redis.call('GET', forgotten) or ''
local is_same = string.sub(last, 1, #deletion + 1) == deletion .. '|'
local done = is_same and string.sub(last, #deletion + 2) or nil
if done == phase or done == 'declare' or (phase == 'first' and done) or (phase == 'late' and done ~= 'first') then
  return 0
end
for i = kept, #KEYS do
  if i >= kept + rename_count then redis.call('UNLINK', KEYS[i])
  elseif redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAME', KEYS[i], KEYS[i] .. ':' .. mark) end
end
-- include: ledger
keep_ended(ledger, meta)
if all == '1' then redis.call('UNLINK', queue, meta)
else
  for _, entry in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
    if string.match(entry, '^%d+|job|') then redis.call('ZREM', queue, entry) end
  end
  redis.call('HDEL', meta, 'queued', 'retried', 'mean_ms', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT')
end
redis.call('SET', forgotten, mark, 'PX', forgotten_ms)
return 1
