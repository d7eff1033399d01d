-- job-submit: store a job and queue its ticket, once.
-- KEYS    job  hash, the job itself · queue  sorted set ticket entry -> start tag ·
--         tickets  hash queued job -> ticket entry · flows  hash flow -> queued jobs ·
--         meta  hash seq, vtime, low_vtime · finish  hash flow -> finish tag ·
--         index  sorted set job -> submitted (unix ms) · idem  string "id|digest", what this Idempotency-Key stands for
-- ARGV    id · endpoint · flow · weight · ttl_ms · max_queued · flow_max  0: no limit · low  1: after everything else ·
--         low_from  start tags of low priority begin here · idem_ms  0: no Idempotency-Key · digest  of the request body ·
--         fields...  (name, value) each, stored as they are
-- RETURN  {'ok', id, depth}, {'same', id} for a repeated Idempotency-Key, {'conflict', id} when its body was another,
--         {'full', queued} or {'flow-full', queued}
-- Called again with the same id (its answer was lost) it changes nothing.
local job, queue, tickets, flows = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, finish, index, idem = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local id, endpoint, flow, weight = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local ttl_ms, max_queued, flow_max, low = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local low_from, idem_ms, digest, fields = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11], 12
-- include: enqueue

if redis.call('EXISTS', job) == 1 then return { 'ok', id, redis.call('ZCARD', queue) } end
local known = idem_ms > 0 and redis.call('GET', idem)
if known then
  local first, body = string.match(known, '^([^|]+)|(.*)$')
  return { body == digest and 'same' or 'conflict', first }
end
local queued, own = redis.call('HLEN', tickets), tonumber(redis.call('HGET', flows, flow) or 0)
if queued >= max_queued then return { 'full', queued } end
if flow_max > 0 and own >= flow_max then return { 'flow-full', own } end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local depth = redis.call('ZCARD', queue)
local deadline = now + ttl_ms
redis.call('HSET', job, 'status', 'IN_QUEUE', 'attempt', 0, 'runs', 0, 'flow', flow, 'weight', weight, 'low', low,
  'submitted', now, 'queued', now, 'deadline', deadline, 'ttl', ttl_ms, unpack(ARGV, fields))
local tag = starttag({ queue = queue, meta = meta, finish = finish }, flow, weight, low_from, low == '1')
local entry = string.format('%015d|job|%s|%d|%d|%s', redis.call('HINCRBY', meta, 'seq', 1), id, now, deadline, flow)
redis.call('ZADD', queue, tag, entry)
redis.call('HSET', tickets, id, entry)
redis.call('HINCRBY', flows, flow, 1)
redis.call('ZADD', index, now, id)
if idem_ms > 0 then redis.call('SET', idem, id .. '|' .. digest, 'PX', idem_ms) end
local _, doubling = math.frexp(depth + 1)
local _, doubled = math.frexp(depth)
if doubling > doubled then redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|') end
return { 'ok', id, depth + 1 }
