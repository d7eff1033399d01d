#!lua flags=allow-oom
-- job-recount: count the bytes of jobs that an earlier build stored without counting.
-- KEYS    asked  hash job -> its submission · results  hash ended job -> its result ·
--         streams  hash job -> "bytes|read" of its stream · large  hash "job|in", "job|out" -> large values ·
--         bytes  hash flow -> bytes (see jobbytes)
-- ARGV    none
-- RETURN  how many jobs were counted; 0 when the bytes were counted before
local asked, results, streams, large, bytes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
-- include: jobstate
-- include: jobbytes

if redis.call('EXISTS', bytes) == 1 then return 0 end
local counted, ids = counting(bytes), redis.call('HKEYS', asked)
for _, id in ipairs(ids) do
  local text = redis.call('HGET', asked, id)
  counted.add(flow_of(text),
    job_bytes(large, id, text, redis.call('HGET', results, id), redis.call('HGET', streams, id)))
end
counted.keep()
return #ids
