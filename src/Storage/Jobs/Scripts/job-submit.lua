#!lua
-- job-submit: store jobs and queue their tickets, each once.
-- KEYS    queue  sorted set ticket entry -> start tag · flows  hash flow -> queued jobs ·
--         meta  hash seq, vtime, low_vtime, queued · finish  hash flow -> finish tag ·
--         index  list of jobs in the order of submission · jobs  hash job -> its submission ·
--         watchers  hash queued job -> gateways to notify · blobs  hash "job|in" -> a large input (see jobstate) ·
--         idem  prefix of strings "id|digest", the job of an Idempotency-Key ·
--         expired  hash job -> its remaining record (see expired) · expired_before  the same for older jobs ·
--         bytes  hash flow -> bytes (see jobbytes)
-- ARGV    endpoint · low_from  start tags of low priority begin here · idem_ms  how long an Idempotency-Key is stored ·
--         kind_count ·
--         rest...  for each kind, the values that jobs of this call share: spec (see jobstate), max_queued, flow_max
--         (0: no limit), max_bytes and flow_bytes (of all jobs and of the flow's; 0: no limit), more (1: four values
--         follow the input); then for each job: its kind from 1, id, input and, if more follow: idem ("key|digest of
--         its body"), webhook, s3 and the gateway to notify, each '' if there is none. None of these contains a line
--         end
-- RETURN  [place in the call from 1, 'same' or 'conflict' (its body differs), job of that Idempotency-Key, 0, or place,
--         'full' or 'flow-full', '', queued, or place, 'bytes-full' or 'flow-bytes-full', '', bytes, ..] of the jobs
--         that were not stored: most are stored, and each element has a cost
-- A repeated call with the same ids (after a lost answer) changes nothing. A full Redis rejects the whole script
-- (without the first line, Redis would check only the first write).
local queue, flows, meta, finish = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local index, jobs, watchers, blobs, idem = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local expired, expired_before, bytes = KEYS[10], KEYS[11], KEYS[12]
local endpoint, low_from, idem_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local kind_count, rest = tonumber(ARGV[4]), 5
-- include: jobstate
-- include: enqueue
-- include: jobbytes
-- include: asking
-- include: idem

local time, before = redis.call('TIME'), redis.call('ZCARD', queue)
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kinds = submit_kinds(rest, kind_count, now)
local tags = starttags({ meta = meta, finish = finish }, before, low_from)
local count, more, entries, ids, answer, stored, queued = {}, {}, {}, {}, {}, {}, nil
local texts = asking({ jobs = jobs, blobs = blobs, watchers = watchers })
local counted, room = counting(bytes), budget(bytes)
local keys =
  idempotency({ idem = idem, jobs = jobs, expired = expired, expired_before = expired_before, stored = stored })
local function refuse(...) for _, value in ipairs({ ... }) do answer[#answer + 1] = value end end

local starts, wanted, i = {}, {}, rest + 6 * kind_count
while i <= #ARGV do
  starts[#starts + 1] = i; wanted[#wanted + 1] = ARGV[i + 1]
  i = i + (kinds[ARGV[i]].more and 7 or 3)
end
local there = redis.call('HMGET', jobs, unpack(wanted))

-- Returns the number of queued jobs. The queue has at least as many tickets, so they are counted only if the queue is
-- long.
local function waiting(limit)
  if before + #entries / 2 < limit then return 0 end
  queued = queued or redis.call('HGET', meta, 'queued') or 0
  return queued + #entries / 2
end

-- Returns the values that few jobs have: idem, webhook, s3, gateway.
local function others(i, kind) if kind.more then return unpack(ARGV, i + 3, i + 6) end return '', '', '', '' end

local function store(i, id, kind, size)
  local flow, seq, n = kind.flow, tags.seq(), #entries
  local request, webhook, s3, gateway = others(i, kind)
  room.take(flow, size)
  counted.add(flow, size)
  if request ~= '' then keys.remember(request, id, idem_ms) end
  texts.add(id, kind.head, seq, webhook, s3, gateway, ARGV[i + 2])
  stored[id] = true
  more[flow] = (more[flow] or 0) + 1
  entries[n + 1], entries[n + 2] =
    tags.take(flow, kind.weight, kind.low), seq .. '|job|' .. id .. kind.ends
  ids[#ids + 1] = id
end

for n, i in ipairs(starts) do
  local kind, id = kinds[ARGV[i]], ARGV[i + 1]
  local flow = kind.flow
  if not stored[id] and not there[n] then
    local request, webhook, s3 = others(i, kind)
    local did, first, size = nil, nil, texts.size(kind.head, webhook, s3, ARGV[i + 2])
    local full, has = room.over(flow, size, kind.max_bytes, kind.flow_bytes)
    if request ~= '' then did, first = keys.known(request) end
    if kind.flow_max > 0 and not count[flow] then
      count[flow] = tonumber(redis.call('HGET', flows, flow) or 0)
    end
    if did then refuse(n, did, first, 0)
    elseif waiting(kind.max) >= kind.max then refuse(n, 'full', '', waiting(kind.max))
    elseif kind.flow_max > 0 and count[flow] + (more[flow] or 0) >= kind.flow_max then
      refuse(n, 'flow-full', '', count[flow] + (more[flow] or 0))
    elseif full then refuse(n, full, '', has)
    else store(i, id, kind, size) end
  end
end
if #entries == 0 then return answer end
redis.call('ZADD', queue, unpack(entries))
texts.keep()
redis.call('HINCRBY', meta, 'queued', #entries / 2)
redis.call('RPUSH', index, unpack(ids))
for flow, n in pairs(more) do redis.call('HINCRBY', flows, flow, n) end
tags.keep()
counted.keep()
local _, doubling = math.frexp(before + #entries / 2)
local _, doubled = math.frexp(before)
if doubling > doubled then redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|') end
return answer
