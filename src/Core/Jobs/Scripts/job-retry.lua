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
-- include: jobstate
-- include: enqueue

local was = redis.call('HMGET', job, 'state', 'spec', 'waits', 'expired')
if not was[1] then return { 'gone', '' } end
local status, attempt = string.match(was[1], STATE)
local weight, low, ttl, _, _, _, flow = string.match(was[2], SPEC)
if was[4] then return { 'expired', status } end
if status ~= 'FAILED' and status ~= 'TIMED_OUT' then return { 'refused', status } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = string.format('%d', now + ttl)
redis.call('HSET', job, 'state', 'IN_QUEUE|' .. attempt .. '|0|0||',
  'waits', string.format('%s|%d|%s', string.match(was[3], '^%d+'), now, deadline))
redis.call('HDEL', job, 'output', 'error', 'end', 'lost', 'chunk_bytes', 'drained')
redis.call('DEL', chunks)
redis.call('ZREM', expiry, id)
redis.call('ZREM', dead, id)
redis.call('ZREM', outbox, 'msg_' .. id .. '_' .. attempt)
redis.call('HINCRBY', meta, 'retried', 1)
local tags = starttags({ meta = meta, finish = finish }, redis.call('ZCARD', queue), low_from)
local tag = tags.take(flow, tonumber(weight), low == '1')
local entry = string.format('%s|job|%s|%d|%s|%s', tags.seq(), id, now, deadline, flow)
tags.keep()
redis.call('ZADD', queue, tag, entry)
redis.call('HSET', tickets, id, entry)
redis.call('HINCRBY', flows, flow, 1)
redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|')
return { 'ok', 'IN_QUEUE' }
