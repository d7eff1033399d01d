-- asking (part, after jobstate): what was asked of jobs: add() gathers it, keep() writes it down. k: asked, large, watched. head: "spec\nsubmitted|deadline|".
local function asking(k)
  local texts, inputs, gateways = {}, {}, {}

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
    redis.call('HSET', k.asked, unpack(texts))
    if #inputs > 0 then redis.call('HSET', k.large, unpack(inputs)) end
    if #gateways > 0 then redis.call('HSET', k.watched, unpack(gateways)) end
  end

  return { add = add, keep = keep }
end
