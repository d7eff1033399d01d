-- endall (part, after jobstate and ending): ends jobs with their final results, and writes the outbox entries of their
-- webhooks in the same step.
-- k: as in ending. From ARGV[first] on: for each of kind_count kinds, the values that ends of this call share: status,
-- 1 for a dead letter, ran ("ready[,stage=ms..]|provider" of the worker), what is written ('output' or 'error'), row of
-- the ledger; then for each job: its kind from 1, id, expect ('any', 'queued', or the fence of the attempt that must be
-- running), output or error, what the attempt used.
-- Returns [place in the call from 1, 'stale' (the fence rejected it) or 'gone', the current status, ..] of the jobs
-- that were not ended: most are ended, and each element has a cost. If an attempt repeats the same end, for example
-- after a lost answer, it has ended its job; another attempt has not.
-- Gateways are notified on 'sluice:job:GATEWAY': 'changed|endpoint|id' for the watchers of a job, 'stop|endpoint|id'
-- for the gateway that runs it.
local function endall(k, endpoint, now, dead_ms, kind_count, first)
  local at = string.format('%d', now)
  local runs, kinds, from = apart(RUN), {}, first + 5 * kind_count
  for n = 1, kind_count do
    local i = first + 5 * (n - 1)
    kinds[string.format('%d', n)] = { status = ARGV[i], dead = ARGV[i + 1] == '1',
      tail = '\n' .. at .. '|' .. ARGV[i + 2] .. '\n' .. ARGV[i + 3] .. '\n', is_error = ARGV[i + 3] == 'error',
      no_retry = ARGV[i] == 'COMPLETED' or ARGV[i] == 'CANCELLED', dues = {}, row = ARGV[i + 4] }
  end
  local ids, ended, answer, jobs_ended = {}, {}, {}, ending(k, endpoint, now, at, dead_ms)
  for i = from, #ARGV, 5 do ids[#ids + 1] = ARGV[i + 1] end
  local at_work = redis.call('HMGET', k.running, unpack(ids))
  for n, id in ipairs(ids) do
    local i, did, status = from + 5 * (n - 1), 'stale', 'IN_PROGRESS'
    local kind, expect, value = kinds[ARGV[i]], ARGV[i + 2], ARGV[i + 3]
    local run = at_work[n] and not ended[id] and runs(at_work[n])
    if not run then
      local submission, result = redis.call('HGET', k.jobs, id), redis.call('HGET', k.results, id)
      local was, by = string.match(result or ended[id] or 'IN_QUEUE', '^([^|]+)|?([^|]*)')
      status = was
      if not submission then did, status = 'gone', ''
      elseif was == kind.status and by == expect then did = nil
      elseif status == 'IN_QUEUE' and (expect == 'any' or expect == 'queued') then
        jobs_ended.unqueue(id, kind, value, submission)
        did, ended[id] = nil, kind.status .. '|' .. expect
      end
    elseif expect == 'any' or expect == run[2] then
      jobs_ended.stop(id, kind, expect, value, run, ARGV[i + 4])
      did, ended[id] = nil, kind.status .. '|' .. expect
    end
    if did then
      for _, value in ipairs({ n, did, status }) do answer[#answer + 1] = value end
    end
  end
  jobs_ended.keep()
  return answer
end
