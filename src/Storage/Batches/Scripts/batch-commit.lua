#!lua flags=allow-oom
-- batch-commit: store which lines of a batch are in its output, and renew the lease of the run.
-- KEYS    batch  hash of the batch · done  bitmap of the lines in the output, from 1 ·
--         parts  hash "o|@blob", "e|@blob" -> "length\n@blob": the parts of the output and of the errors
-- ARGV    token  of this run · lease_ms  0: the run ends · completed  lines in this commit · failed  the same ·
--         out  "@blob" of the part of this run; '': none · out_from  its length before the commit ·
--         out_to  its length after it · err  the same for the errors · err_from · err_to · lines...
-- RETURN  {status, now, expires} (Unix ms), or {} when another gateway runs the batch, or Redis lost an earlier commit:
--         the caller must stop, and nothing was written
local batch, done, parts = KEYS[1], KEYS[2], KEYS[3]
local token, lease_ms, completed, failed = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local out, out_from, out_to = ARGV[5], ARGV[6], ARGV[7]
local err, err_from, err_to = ARGV[8], ARGV[9], ARGV[10]
local lines = 11

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', batch, 'token', 'status', 'expires')
local function continues(part, from, kind)
  local has = part ~= '' and redis.call('HGET', parts, kind .. part)
  return part == '' or (has and string.match(has, '^%d+') or '0') == from
end
if known[1] ~= token or not continues(out, out_from, 'o|') or not continues(err, err_from, 'e|') then return {} end
for i = lines, #ARGV do
  if redis.call('GETBIT', done, ARGV[i]) == 1 then return {} end
end
for i = lines, #ARGV do redis.call('SETBIT', done, ARGV[i], 1) end
if out ~= '' then redis.call('HSET', parts, 'o|' .. out, out_to .. '\n' .. out) end
if err ~= '' then redis.call('HSET', parts, 'e|' .. err, err_to .. '\n' .. err) end
if #ARGV >= lines then
  redis.call('HINCRBY', batch, 'completed', completed)
  redis.call('HINCRBY', batch, 'failed', failed)
end
redis.call('HSET', batch, 'until', string.format('%d', now + lease_ms))
return { known[2], now, tonumber(known[3]) }
