#!lua flags=allow-oom
-- batch-move: change the status of a batch.
-- KEYS    batch  hash of the batch · done  bitmap of its lines · parts  hash of its references ·
--         open  sorted set batch that has not ended -> created · used  hash file -> open batches that read it
-- ARGV    id · token  of the run; '' for a request of a client · from  statuses "a,b" that allow the change · to ·
--         keep_ms  how long the batch can be read after it has ended; 0: it has not ended · fields...  name, value of
--         fields to set
-- RETURN  {1 when it changed, status}; {} when the batch does not exist
local batch, done, parts, open, used = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, token, from, to, keep_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local fields = 6

local known = redis.call('HMGET', batch, 'status', 'token', 'file')
if not known[1] then return {} end
local allowed = (token == '' or token == known[2]) and string.find(',' .. from .. ',', ',' .. known[1] .. ',', 1, true)
if not allowed then return { 0, known[1] } end
redis.call('HSET', batch, 'status', to, to .. '_at', redis.call('TIME')[1])
for i = fields, #ARGV, 2 do redis.call('HSET', batch, ARGV[i], ARGV[i + 1]) end
if keep_ms > 0 then
  redis.call('UNLINK', done, parts)
  redis.call('ZREM', open, id)
  if redis.call('HINCRBY', used, known[3], -1) <= 0 then redis.call('HDEL', used, known[3]) end
  redis.call('PEXPIRE', batch, keep_ms)
end
return { 1, to }
