#!lua flags=allow-oom
-- catalog-forgotten: nothing is left of a deleted endpoint: its id is free.
-- KEYS    deleted  hash id -> token of its deletion
-- ARGV    name · deletion  the token; another one stays
-- RETURN  1, or 0 when it was another one
local deleted = KEYS[1]
local name, deletion = ARGV[1], ARGV[2]

if redis.call('HGET', deleted, name) ~= deletion then return 0 end
return redis.call('HDEL', deleted, name)
