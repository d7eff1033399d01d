#!lua flags=allow-oom
-- block: store why no worker of an endpoint can start. Requests without a worker are rejected with this reason until it
-- expires.
-- KEYS    blocked  string, the reason · queue  sorted set ticket entry -> start tag · meta  hash queued, refused
-- ARGV    reason  JSON · ttl_ms  0: it does not expire · counts  1 when waiting requests are demand for the next start
-- RETURN  1
-- Gateways reject the waiting requests, so they are counted like the requests that acquire rejects. Jobs stay queued.
local blocked, queue, meta = KEYS[1], KEYS[2], KEYS[3]
local reason, ttl_ms, counts = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local waiting = redis.call('ZCARD', queue) - tonumber(redis.call('HGET', meta, 'queued') or 0)
if ttl_ms > 0 then redis.call('SET', blocked, reason, 'PX', ttl_ms) else redis.call('SET', blocked, reason) end
if counts == '1' and waiting > 0 then redis.call('HINCRBY', meta, 'refused', waiting) end
return 1
