#!lua flags=allow-oom
-- job-look: read a job and its place in the queue at one moment, and register a gateway to be notified when it ends.
-- KEYS    queue  sorted set ticket entry -> start tag · running  hash running job -> its run · meta  hash mean_ms ·
--         jobs  hash job -> its submission · retries  hash job that was queued again -> its previous attempts ·
--         watchers  hash queued job -> gateways to notify · results  hash ended job -> its result ·
--         blobs  hash "job|in", "job|out" -> large values (see jobstate for all these) ·
--         expired  hash job -> its remaining record (see expired) · expired_before  the same for older jobs
-- ARGV    id · gateway  '' when none is registered · with_output  1: return its output
-- RETURN  {now, place in the queue from 0 or -1, mean run ms or '', its run or '', the first two lines of its
--         submission, its previous attempts or '', its result or '', 1 when its data was deleted}; {} when the job does
--         not exist
local queue, running, meta, jobs, retries, watchers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local results, blobs, expired, expired_before = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local id, gateway, with_output = ARGV[1], ARGV[2], ARGV[3] == '1'
-- include: jobstate
-- include: watch
-- include: expired

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local record, result = redis.call('HGET', jobs, id), redis.call('HGET', results, id)
local back = redis.call('HGET', retries, id)
if not record then
  local head, last, before = find_expired(expired, expired_before, id)
  return head and { now, -1, '', '', head, before, last, 1 } or {}
end
local place, run = -1, nil
if not result then
  run = redis.call('HGET', running, id)
  local entry = not run and ticket(id, record, back)
  if entry then place = redis.call('ZRANK', queue, entry) or -1 end
  watch(watchers, running, id, run, gateway)
else
  local head, value = string.match(result, '^([^\n]*\n[^\n]*\noutput\n)(.*)$')
  if head and not with_output then result = head
  elseif value == '@' then result = head .. (redis.call('HGET', blobs, id .. '|out') or '') end
end
return { now, place, redis.call('HGET', meta, 'mean_ms') or '', run or '',
  string.match(record, '^[^\n]*\n[^\n]*\n') or record, back or '', result or '', 0 }
