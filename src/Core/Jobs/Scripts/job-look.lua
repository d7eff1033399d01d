#!lua flags=allow-oom
-- job-look: a job's fields and its place in the queue at one moment; a watching gateway is told when it ends.
-- KEYS    job  hash, the job itself · queue  sorted set ticket entry -> start tag · running  hash running job -> its run (see jobstate) ·
--         meta  hash mean_ms · gone  hash job -> what is left of it (see buried) · gone_before  the same of earlier jobs
-- ARGV    id · gateway  '' when it need not be told · fields...  names
-- RETURN  {now, place in the queue from 0 or -1, mean run ms or '', its run or '', [value or false, ..]}; {} when there is no such job
local job, queue, running, meta, gone, gone_before = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, gateway, fields = ARGV[1], ARGV[2], 3
-- include: jobstate
-- include: watch
-- include: tombs

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local was = redis.call('HMGET', job, 'spec', 'waits', 'end', 'watchers', unpack(ARGV, fields))
if not was[1] then
  local tomb, left = buried(gone, gone_before, id), {}
  if not tomb then return {} end
  for i = fields, #ARGV do left[#left + 1] = tomb[ARGV[i]] or false end
  return { now, -1, '', '', left }
end
local place, run = -1, nil
if not was[3] then
  run = redis.call('HGET', running, id)
  if not run then place = redis.call('ZRANK', queue, ticket(id, was[2], was[1])) or -1 end
  watch(job, running, id, run, was[4], gateway)
end
return { now, place, redis.call('HGET', meta, 'mean_ms') or '', run or '', { unpack(was, 5) } }
