-- ending (part, after jobstate): jobs' ends: stop() of one that runs, unqueue() of one that waits; keep() writes down what they gathered.
-- k: queue, running, flows, meta, expiry, dead, outbox, log, jobs, hooks. kind: status, dead, ran, what, dues (empty; when such jobs' data goes).
local function ending(k, endpoint, now, at, dead_ms)
  local entries, fewer, stopped, due, letters, counts, spent = {}, {}, {}, {}, {}, {}, nil

  local function tell(gateway, what, id) redis.call('PUBLISH', 'sluice:job:' .. gateway, what .. '|' .. endpoint .. '|' .. id) end

  local function deliver(id, attempt, url, status)
    local delivery = 'msg_' .. id .. '_' .. attempt
    redis.call('HSET', k.hooks .. delivery, 'job', id, 'url', url, 'status', status, 'made', at, 'tries', 0, 'state', 'pending')
    redis.call('ZADD', k.outbox, at, delivery)
    redis.call('ZADD', k.log, at, delivery)
  end

  -- past: "attempt|runs|started|pod" of what ends.
  local function finish(id, kind, value, past, attempt, keep, url, watchers)
    local status = kind.status
    redis.call('HSET', k.jobs .. id, 'end', status .. '|' .. past, 'ran', kind.ran, kind.what, value)
    local dues = kind.dues
    dues[keep] = dues[keep] or string.format('%d', now + (kind.dead and math.max(keep, dead_ms) or keep))
    due[#due + 1] = dues[keep]; due[#due + 1] = id
    counts[status] = (counts[status] or 0) + 1
    if kind.dead then letters[#letters + 1] = at; letters[#letters + 1] = id end
    if url then deliver(id, attempt, url, status) end
    for gateway in string.gmatch(watchers, '[^,]+') do tell(gateway, 'changed', id) end
  end

  local function stop(id, kind, expect, value, run)
    local holder, attempt, pod, started, ran, keep, hook, watchers = unpack(run, 1, 8)
    stopped[#stopped + 1] = id
    if expect == 'any' then tell(string.match(holder, '^[^~]+'), 'stop', id) end
    if kind.status == 'COMPLETED' then spent = now - started end
    run.past = run.past or attempt .. '|' .. ran .. '|' .. started .. '|' .. pod
    finish(id, kind, value, run.past, attempt, keep,
      hook == '1' and redis.call('HGET', k.jobs .. id, 'webhook'), watchers)
  end

  local function unqueue(id, kind, value, spec, waits, past, url, watchers)
    local keep, flow = select(6, string.match(spec, SPEC))
    entries[#entries + 1] = ticket(id, waits, spec)
    fewer[flow] = (fewer[flow] or 0) + 1
    finish(id, kind, value, past, string.match(past, PAST), keep, url, watchers)
  end

  local function keep()
    if #entries > 0 then
      redis.call('ZREM', k.queue, unpack(entries))
      redis.call('HINCRBY', k.meta, 'queued', -#entries)
    end
    for flow, n in pairs(fewer) do
      if redis.call('HINCRBY', k.flows, flow, -n) <= 0 then redis.call('HDEL', k.flows, flow) end
    end
    if #stopped > 0 then redis.call('HDEL', k.running, unpack(stopped)) end
    if #due > 0 then redis.call('ZADD', k.expiry, unpack(due)) end
    if #letters > 0 then redis.call('ZADD', k.dead, unpack(letters)) end
    if spent then
      -- These two in one write: they are those of nearly every call.
      local was = redis.call('HMGET', k.meta, 'mean_ms', 'COMPLETED')
      local mean = tonumber(was[1] or spent)
      redis.call('HSET', k.meta, 'mean_ms', string.format('%.3f', mean + 0.1 * (spent - mean)), 'COMPLETED', string.format('%d', (was[2] or 0) + counts.COMPLETED))
      counts.COMPLETED = nil
    end
    for status, n in pairs(counts) do redis.call('HINCRBY', k.meta, status, n) end
  end

  return { stop = stop, unqueue = unqueue, keep = keep }
end
