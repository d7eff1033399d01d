#!lua
-- job-submit: store jobs and queue their tickets, each once.
-- KEYS    queue  sorted set ticket entry -> start tag ·
--         flows  hash flow -> queued jobs · meta  hash seq, vtime, low_vtime, queued · finish  hash flow -> finish tag ·
--         index  list of jobs as they came · asked  hash job -> what was asked · watched  hash waiting job -> gateways ·
--         large  hash "job|in" -> a large input (see jobstate) · idem  prefix of strings "id|digest", what an Idempotency-Key stands for ·
--         gone  hash job -> what is left of it (see tombs) · gone_before  the same of earlier jobs
-- ARGV    endpoint · low_from  start tags of low priority begin here · idem_ms  how long an Idempotency-Key is remembered · kind_count ·
--         rest...  of each kind, what jobs of this call have in common: spec (see jobstate), max_queued, flow_max (0: no limit), more (1: four
--         values follow the input); then for each job: its kind from 1, id, input and, where more follow: idem ("key|digest of its body"), webhook, s3
--         and the gateway that is to be told, '' where it has none. No line ends in these
-- RETURN  [place in the call from 1, 'same' or 'conflict' (its body was another), job of that Idempotency-Key, 0, or place, 'full' or 'flow-full', '',
--         queued, ..] of those that were not stored; most are, and each element costs
-- Called again with the same ids (the answer was lost) it changes nothing. A full Redis refuses the whole script (without the first
-- line it would look at the first write only).
local queue, flows, meta, finish = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local index, asked, watched, large, idem, gone, gone_before = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local endpoint, low_from, idem_ms, kind_count, rest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), 5
-- include: jobstate
-- include: enqueue
-- include: asking
-- include: idem

local time, before = redis.call('TIME'), redis.call('ZCARD', queue)
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = string.format('%d', now)
local tags = starttags({ meta = meta, finish = finish }, before, low_from)
local count, more, entries, ids, answer, kinds, stored, queued = {}, {}, {}, {}, {}, {}, {}, nil
local texts = asking({ asked = asked, large = large, watched = watched })
local keys = idempotency({ idem = idem, asked = asked, gone = gone, gone_before = gone_before })
local function refuse(...) for _, value in ipairs({ ... }) do answer[#answer + 1] = value end end
for n = 1, kind_count do
  local i = rest + 4 * (n - 1)
  local weight, low, ttl, _, _, _, flow = string.match(ARGV[i], SPEC)
  local deadline = string.format('%d', now + ttl)
  kinds[string.format('%d', n)] = { max = tonumber(ARGV[i + 1]), flow_max = tonumber(ARGV[i + 2]), more = ARGV[i + 3] == '1', weight = tonumber(weight), low = low == '1',
    head = ARGV[i] .. '\n' .. at .. '|' .. deadline .. '|', ends = '|' .. at .. '|' .. deadline .. '|' .. flow, flow = flow }
end

local starts, wished, i = {}, {}, rest + 4 * kind_count
while i <= #ARGV do
  starts[#starts + 1] = i; wished[#wished + 1] = ARGV[i + 1]
  i = i + (kinds[ARGV[i]].more and 7 or 3)
end
local there = redis.call('HMGET', asked, unpack(wished))

-- Jobs that wait; the queue has at least as many tickets, so that they are counted only where it is long.
local function waiting(limit)
  if before + #entries / 2 < limit then return 0 end
  queued = queued or redis.call('HGET', meta, 'queued') or 0
  return queued + #entries / 2
end

local function store(i, id, kind)
  local flow, seq, n, wish, webhook, s3, gateway = kind.flow, tags.seq(), #entries, '', '', '', ''
  if kind.more then wish, webhook, s3, gateway = unpack(ARGV, i + 3, i + 6) end
  if wish ~= '' then keys.remember(wish, id, idem_ms) end
  texts.add(id, kind.head, seq, webhook, s3, gateway, ARGV[i + 2])
  stored[id] = true
  more[flow] = (more[flow] or 0) + 1
  entries[n + 1], entries[n + 2] = tags.take(flow, kind.weight, kind.low), seq .. '|job|' .. id .. kind.ends
  ids[#ids + 1] = id
end

for n, i in ipairs(starts) do
  local kind, id = kinds[ARGV[i]], ARGV[i + 1]
  local flow = kind.flow
  if not stored[id] and not there[n] then
    local did, first
    if kind.more and ARGV[i + 3] ~= '' then did, first = keys.known(ARGV[i + 3]) end
    if kind.flow_max > 0 and not count[flow] then count[flow] = tonumber(redis.call('HGET', flows, flow) or 0) end
    if did then refuse(n, did, first, 0)
    elseif waiting(kind.max) >= kind.max then refuse(n, 'full', '', waiting(kind.max))
    elseif kind.flow_max > 0 and count[flow] + (more[flow] or 0) >= kind.flow_max then refuse(n, 'flow-full', '', count[flow] + (more[flow] or 0))
    else store(i, id, kind) end
  end
end
if #entries == 0 then return answer end
redis.call('ZADD', queue, unpack(entries))
texts.keep()
redis.call('HINCRBY', meta, 'queued', #entries / 2)
redis.call('RPUSH', index, unpack(ids))
for flow, n in pairs(more) do redis.call('HINCRBY', flows, flow, n) end
tags.keep()
local _, doubling = math.frexp(before + #entries / 2)
local _, doubled = math.frexp(before)
if doubling > doubled then redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|') end
return answer
