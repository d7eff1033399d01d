#!lua flags=allow-oom
-- user-pod-lease: acquires, renews or (lease 0) gives up the control of a node's pods.
-- KEYS    lease  string, the controller of the node
-- ARGV    token  of the candidate · lease_ms
-- RETURN  1 when the candidate has control; 0 when another one has it, or it was given up
local lease = KEYS[1]
local token, lease_ms = ARGV[1], tonumber(ARGV[2])

local now = redis.call('GET', lease)
if now and now ~= token then return 0 end
if lease_ms == 0 then
  redis.call('DEL', lease)
  return 0
end
redis.call('SET', lease, token, 'PX', lease_ms)
return 1
