-- jobstate (part): a job's fields as Lua reads them. They are packed: a job is written thrice and rarely looked into.
-- state  "status|attempt|runs|started|pod|holder": the fence, attempts that count, and where the present or last one runs
-- spec   "weight|low|ttl|max|timeout|keep|flow": what its submission fixed, times in ms
-- waits  "submitted|queued|deadline": unix ms; queued: when it last began to wait
local STATE = '^([^|]*)|(%d+)|(%d+)|(%d+)|([^|]*)|(.*)$'
local SPEC = '^([^|]+)|(%d)|(%d+)|(%d+)|(%d+)|(%d+)|(.*)$'
local WAITS = '^(%d+)|(%d+)|(%d+)$'

-- Jobs of one call often share a text, and a match costs more than a look into a table: each text is taken apart once.
local function apart(pattern)
  local known = {}
  return function(text)
    local parts = known[text]
    if not parts then
      parts = { string.match(text, pattern) }
      known[text] = parts
    end
    return parts
  end
end
