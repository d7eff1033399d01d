#!lua
-- job-retry: queue a job that failed or timed out again, with its input and under its id; its earlier result is
-- deleted.
-- KEYS    chunks  list, the job's stream · streams  hash job -> "bytes|read" of its stream ·
--         jobs  hash job -> its submission · retries  hash job that was queued again -> its previous attempts ·
--         results  hash ended job -> its result · blobs  hash "job|in", "job|out" -> large values ·
--         queue  sorted set ticket entry -> start tag · running  hash running job -> its run (see jobstate) ·
--         flows  hash flow -> queued jobs · meta  hash seq, vtime, low_vtime, queued, retried ·
--         finish  hash flow -> finish tag · dead  sorted set dead-letter job -> ended ·
--         outbox  sorted set delivery -> next attempt · expired  hash job -> its remaining record (see expired) ·
--         expired_before  the same for older jobs · bytes  hash flow -> bytes (see jobbytes)
-- ARGV    id · endpoint · low_from
-- RETURN  {'ok', 'IN_QUEUE'}, {'refused', its status}, {'expired', its status}, {'corrupted', its status} or {'gone',
--         ''}
local chunks, streams, jobs, retries, results, blobs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local queue, running, flows, meta, finish = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local dead, outbox, expired, expired_before, bytes = KEYS[12], KEYS[13], KEYS[14], KEYS[15], KEYS[16]
local id, endpoint, low_from = ARGV[1], ARGV[2], tonumber(ARGV[3])
-- include: jobstate
-- include: enqueue
-- include: jobbytes
-- include: expired

local record = redis.call('HGET', jobs, id)
if not record then
  local head, last = find_expired(expired, expired_before, id)
  return head and { 'expired', string.match(last, '^[^|]+') } or { 'gone', '' }
end
local result = redis.call('HGET', results, id) or 'IN_QUEUE'
local status, attempt = string.match(result, '^([^|]+)|?(%d*)')
local weight, low, ttl, _, _, _, flow = string.match(string.match(record, HEAD) or '', SPEC)
if status == 'IN_QUEUE' and redis.call('HEXISTS', running, id) == 1 then status = 'IN_PROGRESS' end
if status ~= 'FAILED' and status ~= 'TIMED_OUT' then return { 'refused', status } end
if not flow then return { 'corrupted', status } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local tags = starttags({ meta = meta, finish = finish }, redis.call('ZCARD', queue), low_from)
local tag = tags.take(flow, tonumber((string.match(weight, WEIGHT))), low == '1')
local back = string.format('%s|0|0||%d|%d|%s\n', attempt, now, now + ttl, tags.seq())
tags.keep()
local counted = counting(bytes)
counted.add(flow, #record + ROOM + (has_large_input(record) and redis.call('HSTRLEN', blobs, id .. '|in') or 0)
  - job_bytes(blobs, id, record, result, redis.call('HGET', streams, id)))
counted.keep()
redis.call('HSET', retries, id, back)
redis.call('HDEL', results, id)
redis.call('HDEL', blobs, id .. '|out')
redis.call('HDEL', streams, id)
redis.call('DEL', chunks)
redis.call('ZREM', dead, id)
local delivery = 'msg_' .. id .. '_' .. attempt
redis.call('ZREM', outbox, delivery, delivery .. '_' .. string.match(result, '\n(%d+)'))
redis.call('HINCRBY', meta, 'retried', 1)
redis.call('ZADD', queue, tag, ticket(id, record, back))
redis.call('HINCRBY', meta, 'queued', 1)
redis.call('HINCRBY', flows, flow, 1)
redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|')
return { 'ok', 'IN_QUEUE' }
