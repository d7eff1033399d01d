#!lua flags=allow-oom
-- job-look: a job's fields and its place in the queue at one moment; a watching gateway is told when it ends.
-- KEYS    job  hash, the job itself · queue  sorted set ticket entry -> start tag · tickets  hash queued job -> ticket entry ·
--         meta  hash mean_ms
-- ARGV    id · gateway  '' when it need not be told · fields...  names
-- RETURN  {now, place in the queue from 0 or -1, mean run ms or '', [value or false, ..]}; {} when there is no such job
local job, queue, tickets, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, gateway, fields = ARGV[1], ARGV[2], 3

local was = redis.call('HMGET', job, 'state', 'watchers')
if not was[1] then return {} end
local status = string.match(was[1], '^[^|]*')
local place = -1
if status == 'IN_QUEUE' then
  local entry = redis.call('HGET', tickets, id)
  place = entry and redis.call('ZRANK', queue, entry) or -1
end
if gateway ~= '' and (status == 'IN_QUEUE' or status == 'IN_PROGRESS') and not string.find(was[2] or '', gateway, 1, true) then
  redis.call('HSET', job, 'watchers', (was[2] and was[2] .. ',' or '') .. gateway)
end
local time = redis.call('TIME')
return { time[1] * 1000 + math.floor(time[2] / 1000), place, redis.call('HGET', meta, 'mean_ms') or '',
  redis.call('HMGET', job, unpack(ARGV, fields)) }
