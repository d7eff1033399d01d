-- jobbytes (part, after jobstate): the bytes that the jobs of an endpoint occupy, counted exactly in a hash: flow ->
-- bytes, and ALL_JOBS -> all of them.
-- A job counts the text of its submission (in jobs), a large input, ROOM for a short result and the overhead in Redis,
-- a longer result, and its stream. Payload files are not counted.
local ROOM = 512
local ALL_JOBS = '|all'

-- Collects changes; keep() writes them.
local function counting(bytes)
  local change = {}
  local function add(flow, n) change[flow] = (change[flow] or 0) + n end
  local function write(flow, n)
    if n ~= 0 and redis.call('HINCRBY', bytes, flow, string.format('%d', n)) <= 0 then
      redis.call('HDEL', bytes, flow)
    end
  end
  local function keep()
    local all = 0
    for flow, n in pairs(change) do
      all = all + n
      write(flow, n)
    end
    write(ALL_JOBS, all)
  end
  return { add = add, keep = keep }
end

-- The bytes that jobs occupy while a call adds some: over() returns the limit (0: none) that n more bytes exceed, and
-- the occupied bytes; take() adds bytes.
local function budget(bytes)
  local occupied = {}
  local function of(flow)
    occupied[flow] = occupied[flow] or tonumber(redis.call('HGET', bytes, flow) or 0)
    return occupied[flow]
  end
  local function over(flow, n, max, flow_max)
    if max > 0 and of(ALL_JOBS) + n > max then return 'bytes-full', of(ALL_JOBS) end
    if flow_max > 0 and of(flow) + n > flow_max then return 'flow-bytes-full', of(flow) end
  end
  local function take(flow, n) occupied[ALL_JOBS], occupied[flow] = of(ALL_JOBS) + n, of(flow) + n end
  return { over = over, take = take }
end

-- Returns the flow of a submission; '' if it cannot be parsed.
local function flow_of(submission)
  return select(7, string.match(string.match(submission, '^[^\n]*'), SPEC)) or ''
end

-- Returns the position where the second line of a text ends, or nil.
local function second_line(text)
  local first = string.find(text, '\n', 1, true)
  return first and string.find(text, '\n', first + 1, true)
end

local function has_large_input(submission) return string.sub(submission, -2) == '\n@' end

local function beyond_room(n) return n > ROOM and n or 0 end

-- Returns the bytes that a result counts beyond ROOM. last: the position where its second line ends. Positions are used
-- instead of patterns, because a sweep calls this for each job.
local function result_bytes(blobs, id, result, last)
  local value = last + (string.byte(result, last + 1) == string.byte('e') and 7 or 8)
  if #result == value and string.sub(result, value) == '@' then return redis.call('HSTRLEN', blobs, id .. '|out') end
  return beyond_room(#result - value + 1)
end

-- Returns the bytes that a job counts. result, stream: its texts in results and streams, or nil.
local function job_bytes(blobs, id, submission, result, stream)
  local n, last = #submission + ROOM, result and second_line(result)
  if has_large_input(submission) then n = n + redis.call('HSTRLEN', blobs, id .. '|in') end
  if last then n = n + result_bytes(blobs, id, result, last) end
  return n + (stream and tonumber(string.match(stream, '^%d+')) or 0)
end
