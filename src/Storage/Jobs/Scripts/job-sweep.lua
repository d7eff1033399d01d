#!lua flags=allow-oom
-- job-sweep: delete the data of jobs whose retention has ended, keep a record of each job, and find overdue tickets.
-- KEYS    queue  sorted set ticket entry -> start tag ·
--         expiry  sorted set "ended|job,job.." -> when their data is deleted (Unix ms) ·
--         index  list of jobs in the order of submission ·
--         late  sorted set job that outlived some that came after it -> submitted ·
--         dead  sorted set dead-letter job -> ended · log  sorted set delivery -> created ·
--         hooks  prefix of delivery hashes · chunks  prefix of lists, jobs' streams ·
--         jobs  hash job -> its submission · retries  hash job that was queued again -> its previous attempts ·
--         results  hash ended job -> its result · blobs  hash "job|in", "job|out" -> large values ·
--         streams  hash job -> "bytes|read" of its stream · expired  hash job -> its remaining record (see expired) ·
--         expired_before  the same for older jobs · bytes  hash flow -> bytes (see jobbytes)
-- ARGV    max  jobs, tickets and deliveries to process in one call ·
--         expired_ms  how long a record is kept; at least half of this, unless ·
--         most_expired  is exceeded (the newer half of the records is kept) ·
--         rank  where in the queue to look for overdue tickets · log_ms  how long deliveries are kept
-- RETURN  {jobs swept, [value of input and output, ..] of those jobs that are references, [overdue job, ..], next rank
--         or 0, 1 when more data may be due, ms until the data of a job or delivery is due or -1}
-- Jobs are removed from the head of index: one for each job swept here. A removed job whose data still exists moves to
-- late.
local queue, expiry, index, late = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dead, log, hooks, chunks, jobs, retries = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local results, blobs, streams, expired = KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local expired_before, bytes = KEYS[15], KEYS[16]
local max, expired_ms, most_expired = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local rank, log_ms = tonumber(ARGV[4]), tonumber(ARGV[5])

-- include: jobstate
-- include: expired
-- include: jobbytes
-- include: sweep

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local references, overdue, going, going_texts, going_ends = {}, {}, {}, {}, {}
local swept, records, kept, logs = {}, {}, {}, {}

local AT, LF, E = string.byte('@\ne', 1, 3)

local function exists(key) return redis.call('EXISTS', key) == 1 end

-- Deletes the value of an input or output that is stored separately: a large value is deleted here, a reference is
-- returned to the caller.
local function drop(stands, id, field)
  if not stands or string.byte(stands) ~= AT then return end
  if stands == '@' then kept[#kept + 1] = id .. field else references[#references + 1] = stands end
end

local due, ended, groups = overdue_data(expiry, now, max)
if #due > 0 then
  local texts, ends = redis.call('HMGET', jobs, unpack(due)), redis.call('HMGET', results, unpack(due))
  local back = exists(retries) and redis.call('HMGET', retries, unpack(due)) or {}
  for i, id in ipairs(due) do
    local text, result = texts[i], ends[i]
    local first = result and string.find(result, '\n', 1, true)
    local is_due = first and string.sub(result, first + 1, first + #ended[i]) == ended[i]
    if is_due then
      -- A job that was deleted while it ran has only a result. A job that cannot be parsed is deleted without a record.
      if text then
        going[#going + 1], going_texts[#going + 1], going_ends[#going + 1], swept[id] = id, text, result, true
      else redis.call('HDEL', results, id) end
      local head, last, left = second_line(text or ''), second_line(result), 'output\n'
      -- Use positions, not patterns: this loop dominates the cost of a sweep.
      if head and (string.byte(text, head + 3) == AT or string.byte(text, head + 2) ~= LF) then
        drop(string.match(text, '\n[^\n]*\n[^\n]*\n(@?%x*)', head), id, '|in')
      end
      if last and string.byte(result, last + 1) == E then
        left = string.match(result, '^error\n[^|\n]*|%d|', last + 1) or 'error\n|0|'
      elseif last and string.byte(result, last + 8) == AT then drop(string.sub(result, last + 8), id, '|out') end
      if head and last then
        records[#records + 1] = id
        records[#records + 1] = expired_record(string.sub(text, 1, head), string.sub(result, 1, last), left,
          back[i] and string.match(back[i], '^[^\n]*\n'))
      end
    end
  end
  if #going > 0 and exists(streams) then logs = redis.call('HMGET', streams, unpack(going)) end
  uncount(jobs, bytes, blobs, going, going_texts, going_ends, logs)
  if #kept > 0 then redis.call('HDEL', blobs, unpack(kept)) end
  redis.call('ZREMRANGEBYRANK', expiry, 0, groups - 1)
end
if #going > 0 then
  redis.call('HDEL', jobs, unpack(going))
  redis.call('HDEL', results, unpack(going))
  if exists(retries) then redis.call('HDEL', retries, unpack(going)) end
  for i, has in ipairs(logs) do
    if has then redis.call('UNLINK', chunks .. going[i]) end
  end
  if #logs > 0 then redis.call('HDEL', streams, unpack(going)) end
  for _, few in ipairs({ late, dead }) do
    if exists(few) then redis.call('ZREM', few, unpack(going)) end
  end
  for _, id in ipairs(redis.call('LPOP', index, #going) or {}) do
    local text = not swept[id] and redis.call('HGET', jobs, id)
    if text then redis.call('ZADD', late, select(2, string.match(text, HEAD)) or now, id) end
  end
end
if #records > 0 then keep_expired(expired, expired_before, records, now, expired_ms, most_expired) end
local entries = redis.call('ZRANGE', queue, rank, rank + max - 1)
for _, entry in ipairs(entries) do
  local owner, id, deadline = string.match(entry, '^%d+|([^|]+)|([^|]+)|%d+|(%d+)|')
  if owner == 'job' and tonumber(deadline) <= now then overdue[#overdue + 1] = id end
end
for _, delivery in ipairs(redis.call('ZRANGEBYSCORE', log, '-inf', now - log_ms, 'LIMIT', 0, max)) do
  redis.call('DEL', hooks .. delivery)
  redis.call('ZREM', log, delivery)
end
local next_ms = -1
for key, kept_ms in pairs({ [expiry] = 0, [log] = log_ms }) do
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  local left = first and math.max(0, first + kept_ms - now)
  if left and (next_ms < 0 or left < next_ms) then next_ms = left end
end
return { #going, references, overdue, #entries == max and rank + max or 0, #due >= max and 1 or 0, next_ms }
