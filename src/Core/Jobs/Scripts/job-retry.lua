#!lua
-- job-retry: queue a job that failed or timed out again, with its input and under its id; its earlier result goes.
-- KEYS    job  hash, the job itself · chunks  list, its stream · queue  sorted set ticket entry -> start tag ·
--         running  hash running job -> its run (see jobstate) · flows  hash flow -> queued jobs ·
--         meta  hash seq, vtime, low_vtime, queued, retried · finish  hash flow -> finish tag ·
--         expiry  sorted set ended job -> when its data goes (unix ms) · dead  sorted set dead-letter job -> ended ·
--         outbox  sorted set delivery -> next try · gone  hash job -> what is left of it (see buried) ·
--         gone_before  the same of earlier jobs
-- ARGV    id · endpoint · low_from
-- RETURN  {'ok', 'IN_QUEUE'}, {'refused', its status}, {'expired', its status} or {'gone', ''}
local job, chunks, queue, running, flows = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local meta, finish, expiry, dead, outbox = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local gone, gone_before = KEYS[11], KEYS[12]
local id, endpoint, low_from = ARGV[1], ARGV[2], tonumber(ARGV[3])
-- include: jobstate
-- include: enqueue
-- include: tombs

local was = redis.call('HMGET', job, 'end', 'spec', 'waits', 'expired')
if not was[2] then
  local tomb = buried(gone, gone_before, id)
  return tomb and { 'expired', string.match(tomb['end'], '^[^|]+') } or { 'gone', '' }
end
local status, attempt = string.match(was[1] or 'IN_QUEUE', '^([^|]+)|?(%d*)')
local weight, low, ttl, _, _, _, flow = string.match(was[2], SPEC)
if was[4] then return { 'expired', status } end
if status == 'IN_QUEUE' and redis.call('HEXISTS', running, id) == 1 then status = 'IN_PROGRESS' end
if status ~= 'FAILED' and status ~= 'TIMED_OUT' then return { 'refused', status } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local tags = starttags({ meta = meta, finish = finish }, redis.call('ZCARD', queue), low_from)
local tag = tags.take(flow, tonumber(weight), low == '1')
local waits = string.format('%s|%d|%d|%s', string.match(was[3], '^%d+'), now, now + ttl, tags.seq())
tags.keep()
redis.call('HSET', job, 'past', attempt .. '|0|0|', 'waits', waits)
redis.call('HDEL', job, 'output', 'error', 'end', 'ran', 'lost', 'chunk_bytes', 'drained')
redis.call('DEL', chunks)
redis.call('ZREM', expiry, id)
redis.call('ZREM', dead, id)
redis.call('ZREM', outbox, 'msg_' .. id .. '_' .. attempt)
redis.call('HINCRBY', meta, 'retried', 1)
redis.call('ZADD', queue, tag, ticket(id, waits, was[2]))
redis.call('HINCRBY', meta, 'queued', 1)
redis.call('HINCRBY', flows, flow, 1)
redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|')
return { 'ok', 'IN_QUEUE' }
