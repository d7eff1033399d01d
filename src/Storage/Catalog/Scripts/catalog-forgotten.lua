#!lua flags=allow-oom
-- catalog-forgotten: marks the deletion of an endpoint as complete; its id can be used again.
-- KEYS    deleted  hash id -> token of its deletion
-- ARGV    name · deletion  the token; the entry is kept if it has another token
-- RETURN  1, or 0 if the entry has another token
local deleted = KEYS[1]
local name, deletion = ARGV[1], ARGV[2]

if redis.call('HGET', deleted, name) ~= deletion then return 0 end
return redis.call('HDEL', deleted, name)
