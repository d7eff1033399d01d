#!lua flags=allow-oom
-- job-end: give jobs their one final result, and write the outbox entries of their webhooks in the same step.
-- KEYS    queue  sorted set ticket entry -> start tag · tickets  hash queued job -> ticket entry ·
--         running  hash running job -> "holder|attempt|pod" · flows  hash flow -> queued jobs ·
--         meta  hash of counters · expiry  sorted set ended job -> when its data goes (unix ms) ·
--         dead  sorted set dead-letter job -> ended (unix ms) · outbox  sorted set delivery -> next try (unix ms) ·
--         log  sorted set delivery -> made (unix ms) · jobs  prefix of job hashes · hooks  prefix of delivery hashes
-- ARGV    status · expect  'any', 'queued', or the attempt that must run · endpoint · is_dead  1: to the dead letters, which
--         are kept for dead_ms at least · dead_ms · field_count  pairs that follow ·
--         rest...  (name, value) each to store, then job ids
-- RETURN  [id, 'ended', 'stale' (the fence refused it) or 'gone', its status now, ..]
-- Who waits for a job is told on 'sluice:job:GATEWAY': 'changed|endpoint|id', and who runs it: 'stop|endpoint|id'.
local queue, tickets, running, flows = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, expiry, dead, outbox, log = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local jobs, hooks = KEYS[10], KEYS[11]
local status, expect, endpoint, is_dead, dead_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local field_count, rest = tonumber(ARGV[6]), 7
-- include: unqueue

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}

local function finish(id, job, was)
  local state, attempt, flow, keep, webhook, watchers, holder = unpack(was)
  if state == 'IN_QUEUE' then unqueue({ queue = queue, tickets = tickets, flows = flows }, id, flow) end
  if state == 'IN_PROGRESS' then
    redis.call('HDEL', running, id)
    if expect == 'any' then
      redis.call('PUBLISH', 'sluice:job:' .. string.match(holder, '^[^~]+'), 'stop|' .. endpoint .. '|' .. id)
    end
  end
  if rest + 2 * field_count > rest then redis.call('HSET', job, unpack(ARGV, rest, rest + 2 * field_count - 1)) end
  redis.call('HSET', job, 'status', status, 'ended', now)
  keep = is_dead == '1' and math.max(tonumber(keep), dead_ms) or tonumber(keep)
  redis.call('ZADD', expiry, now + keep, id)
  redis.call('HINCRBY', meta, status, 1)
  if is_dead == '1' then redis.call('ZADD', dead, now, id) end
  if status == 'COMPLETED' then
    local spent = now - tonumber(redis.call('HGET', job, 'started'))
    local mean = tonumber(redis.call('HGET', meta, 'mean_ms') or spent)
    redis.call('HSET', meta, 'mean_ms', string.format('%.3f', mean + 0.1 * (spent - mean)))
  end
  if webhook then
    local delivery = 'msg_' .. id .. '_' .. attempt
    redis.call('HSET', hooks .. delivery, 'job', id, 'url', webhook, 'status', status, 'made', now, 'tries', 0, 'state', 'pending')
    redis.call('ZADD', outbox, now, delivery)
    redis.call('ZADD', log, now, delivery)
  end
  for gateway in string.gmatch(watchers or '', '[^,]+') do
    redis.call('PUBLISH', 'sluice:job:' .. gateway, 'changed|' .. endpoint .. '|' .. id)
  end
end

for i = rest + 2 * field_count, #ARGV do
  local id, job, did = ARGV[i], jobs .. ARGV[i], 'stale'
  local was = redis.call('HMGET', job, 'status', 'attempt', 'flow', 'keep', 'webhook', 'watchers', 'holder')
  local open = was[1] == 'IN_QUEUE' or was[1] == 'IN_PROGRESS'
  if not was[1] then did = 'gone'
  elseif open and (expect == 'any' or expect == 'queued' and was[1] == 'IN_QUEUE'
    or was[1] == 'IN_PROGRESS' and was[2] == expect) then
    finish(id, job, was)
    did, was[1] = 'ended', status
  end
  for _, value in ipairs({ id, did, was[1] or '' }) do answer[#answer + 1] = value end
end
return answer
