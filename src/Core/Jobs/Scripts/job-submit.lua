#!lua
-- job-submit: store jobs and queue their tickets, each once.
-- KEYS    queue  sorted set ticket entry -> start tag · tickets  hash queued job -> ticket entry ·
--         flows  hash flow -> queued jobs · meta  hash seq, vtime, low_vtime · finish  hash flow -> finish tag ·
--         index  sorted set job -> submitted (unix ms) · jobs  prefix of job hashes · idem  prefix of strings "id|digest", what an
--         Idempotency-Key stands for
-- ARGV    endpoint · low_from  start tags of low priority begin here · idem_ms  how long an Idempotency-Key is remembered ·
--         wishes...  for each job: id, spec (see jobstate), input, max_queued, flow_max (0: no limit), idem key ('': none), digest of its
--         body, count of further fields, then (name, value) each
-- RETURN  for each job: 'ok', id, depth, or 'same', id, 0 for a repeated Idempotency-Key, or 'conflict', id, 0 when its body was
--         another, or 'full' or 'flow-full', id, queued
-- Called again with the same ids (the answer was lost) it changes nothing. A full Redis refuses the whole script (without the first
-- line it would look at the first write only).
local queue, tickets, flows, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local finish, index, jobs, idem = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local endpoint, low_from, idem_ms, wishes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 4
-- include: jobstate
-- include: enqueue

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = string.format('%d', now)
local before, queued = redis.call('ZCARD', queue), redis.call('HLEN', tickets)
local seq = tonumber(redis.call('HGET', meta, 'seq') or 0)
local tags = starttags({ meta = meta, finish = finish }, before, low_from)
local count, more, entries, by_job, by_time, answer = {}, {}, {}, {}, {}, {}

local function known(id, key, digest)
  if redis.call('EXISTS', jobs .. id) == 1 then return 'ok', id end
  local was = key ~= '' and redis.call('GET', idem .. key)
  if not was then return nil end
  local first, body = string.match(was, '^([^|]+)|(.*)$')
  return body == digest and 'same' or 'conflict', first
end

local function store(i, id, flow, weight, low, ttl)
  local deadline = string.format('%d', now + ttl)
  redis.call('HSET', jobs .. id, 'state', 'IN_QUEUE|0|0|0||', 'spec', ARGV[i + 1], 'waits', at .. '|' .. at .. '|' .. deadline,
    'input', ARGV[i + 2], unpack(ARGV, i + 8, i + 7 + 2 * tonumber(ARGV[i + 7])))
  if ARGV[i + 5] ~= '' then redis.call('SET', idem .. ARGV[i + 5], id .. '|' .. ARGV[i + 6], 'PX', idem_ms) end
  seq, queued = seq + 1, queued + 1
  more[flow] = (more[flow] or 0) + 1
  local entry = string.format('%015d|job|%s|%s|%s|%s', seq, id, at, deadline, flow)
  entries[#entries + 1] = tags.take(flow, tonumber(weight), low == '1'); entries[#entries + 1] = entry
  by_job[#by_job + 1] = id; by_job[#by_job + 1] = entry
  by_time[#by_time + 1] = at; by_time[#by_time + 1] = id
end

local i = wishes
while i <= #ARGV do
  local id, flow_max = ARGV[i], tonumber(ARGV[i + 4])
  local weight, low, ttl, _, _, _, flow = string.match(ARGV[i + 1], SPEC)
  local did, as = known(id, ARGV[i + 5], ARGV[i + 6])
  local n = before + #entries / 2
  if not did then
    as = id
    if flow_max > 0 and not count[flow] then count[flow] = tonumber(redis.call('HGET', flows, flow) or 0) end
    if queued >= tonumber(ARGV[i + 3]) then did, n = 'full', queued
    elseif flow_max > 0 and count[flow] + (more[flow] or 0) >= flow_max then did, n = 'flow-full', count[flow] + (more[flow] or 0)
    else
      store(i, id, flow, weight, low, ttl)
      did, n = 'ok', n + 1
    end
  end
  answer[#answer + 1] = did; answer[#answer + 1] = as; answer[#answer + 1] = n
  i = i + 8 + 2 * tonumber(ARGV[i + 7])
end
if #entries == 0 then return answer end
redis.call('HSET', meta, 'seq', string.format('%d', seq))
redis.call('ZADD', queue, unpack(entries))
redis.call('HSET', tickets, unpack(by_job))
redis.call('ZADD', index, unpack(by_time))
for flow, n in pairs(more) do redis.call('HINCRBY', flows, flow, n) end
tags.keep()
local _, doubling = math.frexp(before + #entries / 2)
local _, doubled = math.frexp(before)
if doubling > doubled then redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|') end
return answer
