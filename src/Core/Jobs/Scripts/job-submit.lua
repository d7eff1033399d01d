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
local before = redis.call('ZCARD', queue)
local tags = starttags({ meta = meta, finish = finish }, before, low_from)
local count, more, entries, by_job, by_time, answer = {}, {}, {}, {}, {}, {}
local specs, deadlines, stored, queued = apart(SPEC), {}, {}, nil

-- Most calls bring none that is there: asked for all at once.
local starts, keys, i = {}, {}, wishes
while i <= #ARGV do
  starts[#starts + 1] = i; keys[#keys + 1] = jobs .. ARGV[i]
  i = i + 8 + 2 * tonumber(ARGV[i + 7])
end
local some_known = redis.call('EXISTS', unpack(keys)) > 0

local function known(id, key, digest)
  if stored[id] or some_known and redis.call('EXISTS', jobs .. id) == 1 then return 'ok', id end
  local was = key ~= '' and redis.call('GET', idem .. key)
  if not was then return nil end
  local first, body = string.match(was, '^([^|]+)|(.*)$')
  return body == digest and 'same' or 'conflict', first
end

-- Jobs that wait; the queue has at least as many tickets, so that they are counted only where it is long.
local function waiting(limit)
  if before + #entries / 2 < limit then return 0 end
  queued = queued or redis.call('HLEN', tickets)
  return queued + #entries / 2
end

local function store(i, id, spec)
  local flow, deadline = spec[7], deadlines[spec] or string.format('%d', now + spec[3])
  deadlines[spec] = deadline
  redis.call('HSET', jobs .. id, 'state', 'IN_QUEUE|0|0|0||', 'spec', ARGV[i + 1], 'waits', at .. '|' .. at .. '|' .. deadline,
    'input', ARGV[i + 2], unpack(ARGV, i + 8, i + 7 + 2 * tonumber(ARGV[i + 7])))
  if ARGV[i + 5] ~= '' then redis.call('SET', idem .. ARGV[i + 5], id .. '|' .. ARGV[i + 6], 'PX', idem_ms) end
  stored[id] = true
  more[flow] = (more[flow] or 0) + 1
  local entry = tags.seq() .. '|job|' .. id .. '|' .. at .. '|' .. deadline .. '|' .. flow
  entries[#entries + 1] = tags.take(flow, tonumber(spec[1]), spec[2] == '1'); entries[#entries + 1] = entry
  by_job[#by_job + 1] = id; by_job[#by_job + 1] = entry
  by_time[#by_time + 1] = at; by_time[#by_time + 1] = id
end

for _, i in ipairs(starts) do
  local id, spec, flow_max = ARGV[i], specs(ARGV[i + 1]), tonumber(ARGV[i + 4])
  local flow = spec[7]
  local did, as = known(id, ARGV[i + 5], ARGV[i + 6])
  local n = before + #entries / 2
  if not did then
    as = id
    if flow_max > 0 and not count[flow] then count[flow] = tonumber(redis.call('HGET', flows, flow) or 0) end
    local max_queued = tonumber(ARGV[i + 3])
    if waiting(max_queued) >= max_queued then did, n = 'full', waiting(max_queued)
    elseif flow_max > 0 and count[flow] + (more[flow] or 0) >= flow_max then did, n = 'flow-full', count[flow] + (more[flow] or 0)
    else
      store(i, id, spec)
      did, n = 'ok', n + 1
    end
  end
  answer[#answer + 1] = did; answer[#answer + 1] = as; answer[#answer + 1] = n
end
if #entries == 0 then return answer end
redis.call('ZADD', queue, unpack(entries))
redis.call('HSET', tickets, unpack(by_job))
redis.call('ZADD', index, unpack(by_time))
for flow, n in pairs(more) do redis.call('HINCRBY', flows, flow, n) end
tags.keep()
local _, doubling = math.frexp(before + #entries / 2)
local _, doubled = math.frexp(before)
if doubling > doubled then redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|') end
return answer
