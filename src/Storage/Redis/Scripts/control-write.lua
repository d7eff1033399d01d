#!lua flags=allow-oom
-- control-write: run one write of a control record, even when Redis is at maxmemory.
-- KEYS    record  the key that the command writes
-- ARGV    command  its name · rest...  its arguments after the key
-- RETURN  what the command returns
local record = KEYS[1]
local command, rest = ARGV[1], 2

return redis.call(command, record, unpack(ARGV, rest))
