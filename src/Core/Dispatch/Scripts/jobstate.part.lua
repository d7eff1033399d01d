-- jobstate (part): a job as Lua reads it. Where it is is told by one thing each: it has ended when its hash has an end, it runs while it has an
-- entry in running, and else it waits. What is written together is packed: a job is written thrice and rarely looked into.
-- spec   "weight|low|ttl|max|timeout|keep|flow": what its submission fixed, times in ms
-- waits  "submitted|queued|deadline|seq": unix ms; queued: when it last began to wait; seq: the number of its ticket then
-- past   "attempt|runs|started|pod": its last attempt before it began to wait again, and how many count; absent: there was none
-- run    "holder|attempt|pod|started|runs|keep|hook|watchers": its entry in running; hook: 1 when it has a webhook; the last three are there so that
--        an end need not read the job. The attempt is the fence of all that is written of it
-- end    "status|attempt|runs|started|pod"
-- ran    "ended|ready[,stage=ms..]|provider", written with end. (Redis keeps a hash small as long as each text in it is.)
local SPEC = '^([^|]+)|(%d)|(%d+)|(%d+)|(%d+)|(%d+)|(.*)$'
local WAITS = '^(%d+)|(%d+)|(%d+)|(%d+)$'
local PAST, NO_PAST = '^(%d+)|(%d+)|(%d+)|(.*)$', '0|0|0|'
local RUN = '^([^|]+)|(%d+)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d)|(.*)$'

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

-- The entry of a waiting job in the queue.
local function ticket(id, waits, spec)
  local _, queued, deadline, seq = string.match(waits, WAITS)
  return table.concat({ seq, 'job', id, queued, deadline, (select(7, string.match(spec, SPEC))) }, '|')
end
