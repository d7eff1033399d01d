#!lua flags=allow-oom
-- writable: whether Redis would run a script that writes. It writes nothing: Redis refuses a script without the flag no-writes before it runs, on a
-- read-only replica and after a failed write of its log (redis/src/script.c, scriptPrepareForRun).
-- KEYS    none
-- ARGV    none
-- RETURN  1
return 1
