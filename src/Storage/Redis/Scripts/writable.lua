#!lua flags=allow-oom
-- writable: check whether Redis accepts scripts that write. The script itself writes nothing: Redis rejects a script
-- without the flag
-- no-writes before it runs, on a read-only replica and after a failed write of its log (redis/src/script.c,
-- scriptPrepareForRun).
-- KEYS    none
-- ARGV    none
-- RETURN  1
return 1
