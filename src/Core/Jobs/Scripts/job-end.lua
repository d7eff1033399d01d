#!lua flags=allow-oom
-- job-end: give jobs their one final result, and write the outbox entries of their webhooks in the same step.
-- KEYS    queue  sorted set ticket entry -> start tag · tickets  hash queued job -> ticket entry ·
--         running  hash running job -> "holder|attempt|pod" · flows  hash flow -> queued jobs ·
--         meta  hash of counters · expiry  sorted set ended job -> when its data goes (unix ms) ·
--         dead  sorted set dead-letter job -> ended (unix ms) · outbox  sorted set delivery -> next try (unix ms) ·
--         log  sorted set delivery -> made (unix ms) · jobs  prefix of job hashes · hooks  prefix of delivery hashes
-- ARGV    endpoint · dead_ms  dead letters are kept for this long at least ·
--         ends...  for each job: id, status, expect ('any', 'queued', or the attempt that must run), 1 for a dead letter,
--         ran ("ready[,stage=ms..]|provider" of the worker), 'output' or 'error', its value
-- RETURN  ['ended', 'stale' (the fence refused it) or 'gone', its status now, ..] in the order given
-- Who waits for a job is told on 'sluice:job:GATEWAY': 'changed|endpoint|id', and who runs it: 'stop|endpoint|id'.
local queue, tickets, running, flows = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, expiry, dead, outbox, log = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local jobs, hooks = KEYS[10], KEYS[11]
local endpoint, dead_ms, ends = ARGV[1], tonumber(ARGV[2]), 3
-- include: jobstate

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = string.format('%d', now)
local answer, entries, unqueued, fewer, stopped, due, letters, counts, spent = {}, {}, {}, {}, {}, {}, {}, {}, nil

local states, specs = apart(STATE), apart(SPEC)

local function tell(gateway, what, id) redis.call('PUBLISH', 'sluice:job:' .. gateway, what .. '|' .. endpoint .. '|' .. id) end

local function deliver(id, attempt, url, status)
  local delivery = 'msg_' .. id .. '_' .. attempt
  redis.call('HSET', hooks .. delivery, 'job', id, 'url', url, 'status', status, 'made', at, 'tries', 0, 'state', 'pending')
  redis.call('ZADD', outbox, at, delivery)
  redis.call('ZADD', log, at, delivery)
end

local function finish(i, id, status, was)
  local state, attempt, _, started, _, holder = unpack(states(was[1]), 1, 6)
  local keep, flow = unpack(specs(was[2]), 6, 7)
  local is_dead = ARGV[i + 3] == '1'
  if state == 'IN_QUEUE' then
    entries[#entries + 1] = redis.call('HGET', tickets, id) or ''
    unqueued[#unqueued + 1] = id
    fewer[flow] = (fewer[flow] or 0) + 1
  else
    stopped[#stopped + 1] = id
    if ARGV[i + 2] == 'any' then tell(string.match(holder, '^[^~]+'), 'stop', id) end
  end
  redis.call('HSET', jobs .. id, 'state', status .. string.sub(was[1], #state + 1), 'end', at .. '|' .. ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
  due[#due + 1] = string.format('%d', now + (is_dead and math.max(keep, dead_ms) or keep)); due[#due + 1] = id
  counts[status] = (counts[status] or 0) + 1
  if is_dead then letters[#letters + 1] = at; letters[#letters + 1] = id end
  if status == 'COMPLETED' then spent = now - started end
  if was[3] then deliver(id, attempt, was[3], status) end
  for gateway in string.gmatch(was[4] or '', '[^,]+') do tell(gateway, 'changed', id) end
end

for i = ends, #ARGV, 7 do
  local id, status, expect, did = ARGV[i], ARGV[i + 1], ARGV[i + 2], 'stale'
  local was = redis.call('HMGET', jobs .. id, 'state', 'spec', 'webhook', 'watchers')
  local state, attempt
  if was[1] then state, attempt = unpack(states(was[1]), 1, 2) end
  local open = state == 'IN_QUEUE' or state == 'IN_PROGRESS'
  if not state then did = 'gone'
  elseif open and (expect == 'any' or expect == 'queued' and state == 'IN_QUEUE' or state == 'IN_PROGRESS' and attempt == expect) then
    finish(i, id, status, was)
    did, state = 'ended', status
  end
  answer[#answer + 1] = did; answer[#answer + 1] = state or ''
end
if #unqueued > 0 then
  redis.call('ZREM', queue, unpack(entries))
  redis.call('HDEL', tickets, unpack(unqueued))
end
for flow, n in pairs(fewer) do
  if redis.call('HINCRBY', flows, flow, -n) <= 0 then redis.call('HDEL', flows, flow) end
end
if #stopped > 0 then redis.call('HDEL', running, unpack(stopped)) end
if #due > 0 then redis.call('ZADD', expiry, unpack(due)) end
if #letters > 0 then redis.call('ZADD', dead, unpack(letters)) end
if spent then
  -- These two in one write: they are those of nearly every call.
  local was = redis.call('HMGET', meta, 'mean_ms', 'COMPLETED')
  local mean = tonumber(was[1] or spent)
  redis.call('HSET', meta, 'mean_ms', string.format('%.3f', mean + 0.1 * (spent - mean)), 'COMPLETED', string.format('%d', (was[2] or 0) + counts.COMPLETED))
  counts.COMPLETED = nil
end
for status, n in pairs(counts) do redis.call('HINCRBY', meta, status, n) end
return answer
