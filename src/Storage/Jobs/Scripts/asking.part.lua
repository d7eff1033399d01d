-- submit_kinds, asking (part, after jobstate and jobbytes): the submissions of jobs. size() returns the bytes that a
-- job will count, add() collects its submission, keep() writes the collected submissions.
-- k: jobs, blobs, watchers. head: "spec\nsubmitted|deadline|".
-- submit_kinds() reads the values that jobs of a call share, from ARGV[first] on, and returns the kinds by their
-- numbers (text).
local function submit_kinds(first, count, now)
  local at, kinds = string.format('%d', now), {}
  for n = 1, count do
    local i = first + 6 * (n - 1)
    local weight, low, ttl, _, _, _, flow = string.match(ARGV[i], SPEC)
    local deadline = string.format('%d', now + ttl)
    kinds[string.format('%d', n)] = {
      max = tonumber(ARGV[i + 1]), flow_max = tonumber(ARGV[i + 2]), max_bytes = tonumber(ARGV[i + 3]),
      flow_bytes = tonumber(ARGV[i + 4]), more = ARGV[i + 5] == '1', low = low == '1',
      weight = tonumber((string.match(weight, WEIGHT))),
      head = ARGV[i] .. '\n' .. at .. '|' .. deadline .. '|', ends = '|' .. at .. '|' .. deadline .. '|' .. flow,
      flow = flow }
  end
  return kinds
end

local function asking(k)
  local texts, inputs, gateways = {}, {}, {}

  -- The ticket number has 15 digits; three line ends separate the parts; '@' replaces a large input, which is stored
  -- separately.
  local function size(head, webhook, s3, input)
    return ROOM + #head + 15 + 3 + #webhook + #s3 + #input + (#input > LARGE and 1 or 0)
  end

  local function add(id, head, seq, webhook, s3, gateway, input)
    if gateway ~= '' then gateways[#gateways + 1] = id; gateways[#gateways + 1] = gateway end
    if #input > LARGE then
      inputs[#inputs + 1] = id .. '|in'; inputs[#inputs + 1] = input
      input = '@'
    end
    local n = #texts
    texts[n + 1], texts[n + 2] = id, head .. seq .. '\n' .. webhook .. '\n' .. s3 .. '\n' .. input
  end

  local function keep()
    redis.call('HSET', k.jobs, unpack(texts))
    if #inputs > 0 then redis.call('HSET', k.blobs, unpack(inputs)) end
    if #gateways > 0 then redis.call('HSET', k.watchers, unpack(gateways)) end
  end

  return { size = size, add = add, keep = keep }
end
