-- isolating (part, after take, isolated and claim): grants isolated tickets, which are the first of the queue.
-- While other tickets wait, one worker (meta: kept) serves the isolated tickets one after another and gets no other
-- work; the other tickets have the remaining workers. While no other ticket waits, any idle worker serves isolated
-- tickets. While more than MOST_ISOLATED tickets are isolated, release grants nothing else, which bounds their number.
-- Returns how many still wait, and how many were granted or dropped.
local MOST_ISOLATED = 64

local function isolating(k, book, jobs_claimed, claims, grant)
  local n = redis.call('ZCOUNT', k.queue, ISOLATED_TAG, ISOLATED_TAG)
  local others, before = redis.call('ZCARD', k.queue) > n, redis.call('HGET', k.meta, 'kept')
  local kept, owners, ids, tails, gone = book.keepable(before), {}, {}, {}, {}
  local heads = redis.call('ZRANGE', k.queue, 0, math.min(n, MOST_ISOLATED) - 1)
  for i = 1, #heads do
    owners[i], ids[i], tails[i] = string.match(heads[i], '^%d+|([^|]+)|([^|]+)|(.*)$')
  end
  if claims then jobs_claimed.read(ids, #heads) end
  local function pick(owner) return book.whole(owner, kept, not others) end
  for i = 1, #heads do
    if grant(i, heads[i], owners[i], ids[i], tails[i], pick, 'isolated') then gone[#gone + 1] = heads[i] end
  end
  if #gone > 0 then redis.call('ZREM', k.queue, unpack(gone)) end
  local left = n - #gone
  if left == 0 then kept = nil else book.withhold(kept) end
  if not kept then redis.call('HDEL', k.meta, 'kept')
  elseif kept ~= before then redis.call('HSET', k.meta, 'kept', kept) end
  return left, #gone
end
