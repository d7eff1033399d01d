-- jobstate (part): the format of a job in Redis. A job is a field in several hashes of its endpoint, so that one
-- command reads or writes the fields of many jobs:
-- jobs     "spec\nsubmitted|deadline|seq\nwebhook\ns3\ninput": the submission, written once (times in Unix ms; seq: the
--          number of its first ticket; s3: JSON, or the path of the worker that gets the input, which begins with "/";
--          if the submission is traced, "traceparent tracestate" and a tab are in front of it)
-- spec     "weight|low|ttl|max|timeout|keep|flow", times in ms; "weight~tokens" of a job that generates text
-- retries  "attempt|runs|started|pod|queued|deadline|seq\n" and a line for each lost attempt: of a job that was queued
--          again, its last attempt before that, how many attempts count, when it was queued, and its ticket number
--          (first digit 9: the job is isolated, see isolated)
-- running  "holder|fence|pod|started|runs|keep|hook|watchers": the run. hook: 1 when the job has a webhook, plus 2 when
--          it has a large input. The last three are copies, so that an end need not read the submission. fence:
--          "attempt.token", or "attempt" of an earlier build; it must match in every write about the job. The token is
--          random for each claim, because a Redis that lost its last writes assigns the same attempt number again
-- watchers  the gateways to notify about a queued job, "g1,g2"
-- results  "status|fence or attempt|runs|started|pod\nended|ready[,stage=ms..]|provider\noutput or error\nvalue"
-- blobs    "job|in", "job|out" -> an input or output of more than LARGE bytes, so that a read of the job need not copy
--          it; "@" replaces it in the other hash
-- Exactly one field determines the state of a job: it has ended when it has a result, it is running while it is in
-- running, and otherwise it is queued.
local SPEC = '^([^|]+)|(%d)|(%d+)|(%d+)|(%d+)|(%d+)|(.*)$'
local WEIGHT = '^([^~|]+)~?(%d*)$'
local HEAD = '^([^\n]*)\n(%d+)|(%d+)|(%d+)\n'
local SUBMISSION = '^([^\n]*)\n%d+|%d+|%d+\n([^\n]*)\n([^\n]*)\n(.*)$'
local RETRY = '^(%d+)|(%d+)|(%d+)|([^|]*)|(%d+)|(%d+)|(%d+)\n(.*)$'
local RUN = '^([^|]+)|([^|]+)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d)|(.*)$'
local LARGE = 1024

-- Jobs of one call often share a text, and a pattern match costs more than a table lookup: each text is parsed once.
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

-- Returns the queue entry of a waiting job, or nil if its texts are corrupted. back: its text in retries, if any.
local function ticket(id, submission, back)
  local spec, queued, deadline, seq = string.match(submission, HEAD)
  if back then queued, deadline, seq = select(5, string.match(back, RETRY)) end
  local flow = select(7, string.match(spec or '', SPEC))
  return flow and seq and table.concat({ seq, 'job', id, queued, deadline, flow }, '|')
end

local function tofence(attempt, token) return token ~= '' and attempt .. '.' .. token or attempt end

-- Returns the attempt number of a fence, as text.
local function toattempt(fence) return string.match(fence, '^%d+') end

-- Returns the number of the ticket with which a job was queued again; '' for its first ticket.
local function ticket_number(back) return back and select(7, string.match(back, RETRY)) or '' end

-- Returns "attempt|runs|started|pod" of the last attempt of a waiting job.
local function past(back) return back and string.match(back, '^%d+|%d+|%d+|[^|]*') or '0|0|0|' end
