-- jobstate (part): a job as Lua reads it. It is a field in a few hashes of its endpoint, so that one command reads or writes what many jobs have:
-- asked    "spec\nsubmitted|deadline|seq\nwebhook\ns3\ninput": what its submission fixed, written once (unix ms; seq: the number of its first ticket)
-- spec     "weight|low|ttl|max|timeout|keep|flow", times in ms
-- again    "attempt|runs|started|pod|queued|deadline|seq\n" and a line for each lost attempt: of a job that began to wait again, its last attempt
--          before that, how many count, since when it waits, and its ticket's number (first digit 9: the job is isolated, see isolated)
-- running  "holder|fence|pod|started|runs|keep|hook|watchers": its run; hook: 1 when it has a webhook, plus 2 when it has a large input; the last three are
--          there so that an end need not read the job. fence: "attempt.token", or "attempt" of an earlier build; it must match in every write about the job. The token is
--          random for each claim: a Redis that lost its last writes counts to the same attempt number again
-- watched  the gateways that are to be told of a job that waits, "g1,g2"
-- results  "status|fence or attempt|runs|started|pod\nended|ready[,stage=ms..]|provider\noutput or error\nvalue"
-- large    "job|in", "job|out" -> an input or output of more than LARGE bytes, so that who looks at the job need not copy it; "@" stands in its place
-- Where a job is is told by one thing each: it has ended when it has a result, it runs while it is in running, and else it waits.
local SPEC = '^([^|]+)|(%d)|(%d+)|(%d+)|(%d+)|(%d+)|(.*)$'
local HEAD = '^([^\n]*)\n(%d+)|(%d+)|(%d+)\n'
local ASKED = '^([^\n]*)\n[^\n]*\n([^\n]*)\n([^\n]*)\n(.*)$'
local AGAIN = '^(%d+)|(%d+)|(%d+)|([^|]*)|(%d+)|(%d+)|(%d+)\n(.*)$'
local RUN = '^([^|]+)|([^|]+)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d)|(.*)$'
local LARGE = 1024

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

-- The entry of a waiting job in the queue. back: its text in again, if any.
local function ticket(id, asked, back)
  local spec, queued, deadline, seq = string.match(asked, HEAD)
  if back then queued, deadline, seq = select(5, string.match(back, AGAIN)) end
  return table.concat({ seq, 'job', id, queued, deadline, (select(7, string.match(spec, SPEC))) }, '|')
end

local function tofence(attempt, token) return token ~= '' and attempt .. '.' .. token or attempt end

-- The attempt's number in a fence, as text.
local function toattempt(fence) return string.match(fence, '^%d+') end

-- The number of the ticket with which a job began to wait again; '' for its first one.
local function ticket_number(back) return back and select(7, string.match(back, AGAIN)) or '' end

-- "attempt|runs|started|pod" of a waiting job's last attempt.
local function past(back) return back and string.match(back, '^%d+|%d+|%d+|[^|]*') or '0|0|0|' end
