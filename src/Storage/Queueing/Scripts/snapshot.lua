-- snapshot: the dispatch state of an endpoint at one moment.
-- KEYS    leases  sorted set holder -> lease expiry (Unix ms) · held  hash "holder|pod" -> slots ·
--         free  sorted set ready pod -> free slots · queue  sorted set ticket entry -> start tag ·
--         meta  hash seq, vtime, completed, served, queued, refused · busy  hash holder -> requests ·
--         capacity  hash pod -> slots · running  hash running job -> its run (see jobstate) ·
--         blocked  string, why no worker can start · token_capacity  hash pod -> how many tokens it can hold ·
--         tokens  hash tokens in flight (see room) · jobs  hash job -> its submission
-- ARGV    oldest_of  how many tickets from the head are searched for the oldest ·
--         low  start tags of low priority begin here
-- RETURN  {now ms, depth, age of the oldest ticket ms, busy, completed, [pod, slots, ..], [pod, free, ..],
--         ["holder|pod", slots, ..], tickets of low priority, queued jobs, running jobs, ms for which slots were in
--         use, blocked reason or '', requests rejected since the last start, [pod, tokens that it can
--         hold, ..], [pod or "holder|pod", tokens in flight, ..], tickets that were searched, their tokens}
local leases, held, free, queue = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local meta, busy, capacity = KEYS[5], KEYS[6], KEYS[7]
local running, blocked, token_capacity, tokens, jobs = KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local oldest_of, low = tonumber(ARGV[1]), ARGV[2]
-- include: jobstate
-- include: room

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest, requests, waiting, ids = now, 0, 0, {}
local heads = redis.call('ZRANGE', queue, 0, oldest_of - 1)
for _, entry in ipairs(heads) do
  local owner, id, queued = string.match(entry, '^%d+|([^|]+)|([^|]+)|(%d+)|')
  oldest, waiting = math.min(oldest, tonumber(queued)), waiting + tokens_of(entry)
  if owner == 'job' then ids[#ids + 1] = id end
end
for _, text in ipairs(#ids > 0 and redis.call('HMGET', jobs, unpack(ids)) or {}) do
  local n = text and select(2, string.match(string.match(text, '^([^|]*)'), WEIGHT))
  waiting = waiting + (tonumber(n or '') or 0)
end
local reports = redis.call('HGETALL', busy)
for i = 1, #reports, 2 do
  if redis.call('ZSCORE', leases, reports[i]) then
    requests = requests + tonumber(string.match(reports[i + 1], '^%d+'))
  end
end
return { now, redis.call('ZCARD', queue), now - oldest, requests,
  tonumber(redis.call('HGET', meta, 'completed') or 0), redis.call('HGETALL', capacity),
  redis.call('ZRANGE', free, 0, -1, 'WITHSCORES'), redis.call('HGETALL', held),
  redis.call('ZCOUNT', queue, low, '+inf'), tonumber(redis.call('HGET', meta, 'queued') or 0),
  redis.call('HLEN', running),
  tonumber(redis.call('HGET', meta, 'served') or 0), redis.call('GET', blocked) or '',
  tonumber(redis.call('HGET', meta, 'refused') or 0), redis.call('HGETALL', token_capacity),
  redis.call('HGETALL', tokens), #heads, waiting }
