#!lua flags=allow-oom
-- acquire: lease free slots to tickets while the queue is empty; otherwise queue the tickets, or reject them.
-- KEYS    leases  sorted set holder -> lease expiry (Unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         meta  hash seq, vtime, completed, queued, refused · finish  hash flow -> finish tag ·
--         capacity  hash pod -> slots · blocked  string, why no worker can start ·
--         token_capacity  hash pod -> how many tokens it can hold · tokens  hash tokens in flight (see room)
-- ARGV    holder · fresh  1 when the holder knows that it has no lease · lease_ms · max_depth ·
--         spare  slots to lease in addition to those of the tickets · endpoint ·
--         requests...  (id, flow, wait_ms, front, weight, preferred pod or '', margin, tokens) each
-- RETURN  {'lost'}, or {'ok', depth, [ticket, pod, ..] granted, [ticket, entry, ..] queued, [ticket, 'full' or
--         'blocked', ..] rejected, [pod, ..] spare, blocked reason or '', holders with a lease}
-- max_depth counts requests, not queued jobs. A ticket with front=1 was granted a slot before, and the request did not
-- reach the worker: it is queued before all others. A ticket with front=2 lost its worker: it is isolated, and release
-- grants it.
-- Other gateways are notified on 'sluice:dispatch' each time the depth doubles. A holder whose lease was ended writes
-- nothing.
-- Requests that are rejected as blocked are counted: they are demand for the next start.
local leases, held, free, queue = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, finish, capacity, blocked = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local token_capacity, tokens = KEYS[9], KEYS[10]
local holder, fresh, lease_ms, max_depth = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local spare, endpoint, requests = tonumber(ARGV[5]), ARGV[6], 7
-- include: room
-- include: take
-- include: enqueue
-- include: isolated

if fresh ~= '1' and not redis.call('ZSCORE', leases, holder) then return { 'lost' } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('ZCARD', queue)
local reason = redis.call('HLEN', capacity) == 0 and redis.call('GET', blocked) or ''
local jobs = tonumber(redis.call('HGET', meta, 'queued') or 0)
local granted, queued, refused, extra, depth, turned = {}, {}, {}, {}, before, 0

-- Calls without tokens, and calls while no worker limits them, need no account.
local book
local function take_one(n, preferred, margin)
  if n > 0 and not book and redis.call('EXISTS', token_capacity) == 1 then
    book = openings(free, held, capacity, { token_capacity = token_capacity, tokens = tokens })
  end
  if book then return book.take(holder, n, preferred, margin) end
  return take(free, held, holder, preferred, margin)
end

local tags
local function enqueue(id, flow, wait_ms, front, weight, n)
  tags = tags or starttags({ meta = meta, finish = finish }, depth)
  local tag, seq = front == '2' and ISOLATED_TAG or front == '1' and -1 or tags.take(flow, weight), tags.seq()
  if front == '2' then seq = string.format('%d', ISOLATED_FROM + seq) end
  if n > 0 then id = string.format('%s~%d', id, n) end
  local entry = string.format('%s|%s|%s|%d|%d|%s', seq, holder, id, now, now + wait_ms, flow)
  redis.call('ZADD', queue, tag, entry)
  depth = depth + 1
  return entry
end

redis.call('ZADD', leases, now + lease_ms, holder)
for i = requests, #ARGV, 8 do
  local id, n, pod = ARGV[i], tonumber(ARGV[i + 7]), nil
  if depth == 0 and ARGV[i + 3] ~= '2' then pod = take_one(n, ARGV[i + 5], tonumber(ARGV[i + 6])) end
  if pod then granted[#granted + 1] = id; granted[#granted + 1] = pod
  elseif reason ~= '' then refused[#refused + 1] = id; refused[#refused + 1] = 'blocked'; turned = turned + 1
  elseif depth - jobs >= max_depth and ARGV[i + 3] == '0' then
    refused[#refused + 1] = id; refused[#refused + 1] = 'full'
  else
    queued[#queued + 1] = id
    queued[#queued + 1] = enqueue(id, ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], tonumber(ARGV[i + 4]), n)
  end
end
while depth == 0 and #extra < spare do
  local pod = take_one(0)
  if not pod then break end
  extra[#extra + 1] = pod
end
if book then book.keep() end
if tags then tags.keep() end
if turned > 0 then redis.call('HINCRBY', meta, 'refused', turned) end
local _, doubling = math.frexp(depth)
local _, doubled = math.frexp(before)
if doubling > doubled then redis.call('PUBLISH', 'sluice:dispatch', 'waiting|' .. endpoint .. '|' .. holder) end
return { 'ok', depth, granted, queued, refused, extra, reason, redis.call('ZCARD', leases) }
