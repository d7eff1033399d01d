#!lua
-- job-retry: queue a job that failed or timed out again, with its input and under its id; its earlier result goes.
-- KEYS    job  hash, the job itself · chunks  list, its stream · queue  sorted set ticket entry -> start tag ·
--         tickets  hash queued job -> ticket entry · flows  hash flow -> queued jobs ·
--         meta  hash seq, vtime, low_vtime · finish  hash flow -> finish tag ·
--         expiry  sorted set ended job -> when its data goes (unix ms) · dead  sorted set dead-letter job -> ended ·
--         outbox  sorted set delivery -> next try
-- ARGV    id · endpoint · low_from
-- RETURN  {'ok', 'IN_QUEUE'}, {'refused', its status}, {'expired', its status} or {'gone', ''}
local job, chunks, queue, tickets, flows = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local meta, finish, expiry, dead, outbox = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local id, endpoint, low_from = ARGV[1], ARGV[2], tonumber(ARGV[3])
-- include: enqueue

local was = redis.call('HMGET', job, 'status', 'flow', 'weight', 'low', 'ttl', 'expired', 'attempt')
if not was[1] then return { 'gone', '' } end
if was[6] then return { 'expired', was[1] } end
if was[1] ~= 'FAILED' and was[1] ~= 'TIMED_OUT' then return { 'refused', was[1] } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = string.format('%d', now + tonumber(was[5]))
redis.call('HSET', job, 'status', 'IN_QUEUE', 'runs', 0, 'queued', now, 'deadline', deadline)
redis.call('HDEL', job, 'output', 'error', 'code', 'retryable', 'ended', 'started', 'holder', 'pod', 'provider', 'lost', 'chunk_bytes',
  'drained', 'final')
redis.call('DEL', chunks)
redis.call('ZREM', expiry, id)
redis.call('ZREM', dead, id)
redis.call('ZREM', outbox, 'msg_' .. id .. '_' .. was[7])
redis.call('HINCRBY', meta, 'retried', 1)
local tags = starttags({ meta = meta, finish = finish }, redis.call('ZCARD', queue), low_from)
local tag = tags.take(was[2], tonumber(was[3]), was[4] == '1')
tags.keep()
local entry = string.format('%015d|job|%s|%d|%s|%s', redis.call('HINCRBY', meta, 'seq', 1), id, now, deadline, was[2])
redis.call('ZADD', queue, tag, entry)
redis.call('HSET', tickets, id, entry)
redis.call('HINCRBY', flows, was[2], 1)
redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|')
return { 'ok', 'IN_QUEUE' }
