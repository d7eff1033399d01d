-- ending (part, after jobstate, jobbytes and ledger): ends jobs. stop() ends a running job, unqueue() a queued job;
-- keep() writes the collected changes. Each end counts in the ledger, in the same step.
-- k: queue, running, flows, meta, jobs, retries, watchers, results, blobs, expiry, dead, outbox, log, hooks, bytes,
-- ledger.
-- kind: status, no_retry, dead, tail (the part of the result between its first line and its value), is_error, dues
-- (empty; when the data of such jobs is deleted), row ("key|model|GPU" of the ledger; without the key if the caller
-- does not know the flow of the job).
-- used: what the attempt used (see ledger).
local function ending(k, endpoint, now, at, dead_ms)
  local results, large, deliveries, news, notified = {}, {}, {}, {}, {}
  local entries, fewer, stopped, due, letters, counts, hooks_made, spent = {}, {}, {}, {}, {}, {}, {}, nil
  local counted, unneeded, usage = counting(k.bytes), {}, counting_usage(k.ledger, k.meta, now)

  local function notify(gateway, what, id)
    news[#news + 1] = { 'sluice:job:' .. gateway, what .. '|' .. endpoint .. '|' .. id }
  end

  local function deliver(id, attempt, url, status)
    local delivery = 'msg_' .. id .. '_' .. toattempt(attempt)
    -- A job was retried, and ended before another attempt began: a receiver of the first delivery would ignore a second
    -- one with the same name.
    if redis.call('HEXISTS', k.hooks .. delivery, 'job') == 1 then delivery = delivery .. '_' .. at end
    -- Write the hash later: if a later end of this call fails, no part of an earlier one may be left.
    hooks_made[#hooks_made + 1] = { k.hooks .. delivery, 'job', id, 'url', url, 'status', status, 'made', at,
      'tries', 0, 'state', 'pending' }
    deliveries[#deliveries + 1] = at; deliveries[#deliveries + 1] = delivery
  end

  -- When a job that cannot be retried ends, its large input is deleted: completed and cancelled jobs free memory in a
  -- full Redis.
  local function count(id, kind, value, submission)
    local n = beyond_room(#value)
    if kind.no_retry and has_large_input(submission) then
      unneeded[#unneeded + 1] = id .. '|in'
      n = n - redis.call('HSTRLEN', k.blobs, id .. '|in')
    end
    if n ~= 0 then counted.add(flow_of(submission), n) end
  end

  local function bill(kind, id, used, submission)
    local row = kind.row
    if string.sub(row, 1, 1) == '|' then row = flow_of(submission or redis.call('HGET', k.jobs, id) or '') .. row end
    usage.ended(row, kind.status, used)
  end

  -- last: "fence or attempt|runs|started|pod" of the attempt that ends.
  local function finish(id, kind, value, last, attempt, keep, url, watchers)
    local status, n = kind.status, #results
    if #value > LARGE and not kind.is_error then
      large[#large + 1] = id .. '|out'; large[#large + 1] = value
      value = '@'
    end
    results[n + 1], results[n + 2] = id, status .. '|' .. last .. kind.tail .. value
    local dues = kind.dues
    dues[keep] = dues[keep] or string.format('%d', now + (kind.dead and math.max(keep, dead_ms) or keep))
    local goes = due[dues[keep]] or {}
    due[dues[keep]] = goes
    goes[#goes + 1] = id
    counts[status] = (counts[status] or 0) + 1
    if kind.dead then letters[#letters + 1] = at; letters[#letters + 1] = id end
    if url ~= '' then deliver(id, attempt, url, status) end
    for gateway in string.gmatch(watchers, '[^,]+') do notify(gateway, 'changed', id) end
  end

  local function stop(id, kind, expect, value, run, used)
    local holder, fence, pod, started, ran, keep, hook, watchers = unpack(run, 1, 8)
    stopped[#stopped + 1] = id
    if expect == 'any' then notify(string.match(holder, '^[^~]+'), 'stop', id) end
    if kind.status == 'COMPLETED' then spent = now - started end
    run.last = run.last or fence .. '|' .. ran .. '|' .. started .. '|' .. pod
    -- Few ends need the submission: those of a job with a webhook or a large input (see jobstate), or with a longer
    -- result.
    local submission = (hook ~= '0' or #value > ROOM) and redis.call('HGET', k.jobs, id)
    if submission then count(id, kind, value, submission) end
    bill(kind, id, used, submission)
    finish(id, kind, value, run.last, fence, keep,
      submission and hook % 2 == 1 and select(2, string.match(submission, SUBMISSION)) or '', watchers)
  end

  local function unqueue(id, kind, value, submission)
    local back, watchers = redis.call('HGET', k.retries, id), redis.call('HGET', k.watchers, id)
    local spec, url = string.match(submission, SUBMISSION)
    local keep, flow = select(6, string.match(spec or '', SPEC))
    local last, entry = past(back), ticket(id, submission, back)
    -- The ticket of a corrupted job is not known. The next claim drops it, and counts it.
    if entry then
      entries[#entries + 1] = entry
      fewer[flow] = (fewer[flow] or 0) + 1
    end
    if watchers then notified[#notified + 1] = id end
    count(id, kind, value, submission)
    bill(kind, id, '', submission)
    finish(id, kind, value, last, string.match(last, '^%d+'), keep or '0', url or '', watchers or '')
  end

  local function keep()
    usage.keep()
    if #entries > 0 then
      redis.call('ZREM', k.queue, unpack(entries))
      redis.call('HINCRBY', k.meta, 'queued', -#entries)
    end
    for flow, n in pairs(fewer) do
      if redis.call('HINCRBY', k.flows, flow, -n) <= 0 then redis.call('HDEL', k.flows, flow) end
    end
    if #notified > 0 then redis.call('HDEL', k.watchers, unpack(notified)) end
    if #stopped > 0 then redis.call('HDEL', k.running, unpack(stopped)) end
    if #results > 0 then redis.call('HSET', k.results, unpack(results)) end
    if #large > 0 then redis.call('HSET', k.blobs, unpack(large)) end
    if #unneeded > 0 then redis.call('HDEL', k.blobs, unpack(unneeded)) end
    counted.keep()
    for when, ids in pairs(due) do redis.call('ZADD', k.expiry, when, at .. '|' .. table.concat(ids, ',')) end
    if #letters > 0 then redis.call('ZADD', k.dead, unpack(letters)) end
    if spent then
      -- One write for both: nearly every call changes both fields.
      local was = redis.call('HMGET', k.meta, 'mean_ms', 'COMPLETED')
      local mean = tonumber(was[1] or spent)
      redis.call('HSET', k.meta, 'mean_ms', string.format('%.3f', mean + 0.1 * (spent - mean)),
        'COMPLETED', string.format('%d', (was[2] or 0) + counts.COMPLETED))
      counts.COMPLETED = nil
    end
    for status, n in pairs(counts) do redis.call('HINCRBY', k.meta, status, n) end
    for _, hook in ipairs(hooks_made) do redis.call('HSET', unpack(hook)) end
    if #deliveries > 0 then
      redis.call('ZADD', k.outbox, unpack(deliveries))
      redis.call('ZADD', k.log, unpack(deliveries))
    end
    for _, new in ipairs(news) do redis.call('PUBLISH', new[1], new[2]) end
  end

  return { stop = stop, unqueue = unqueue, keep = keep }
end
