#!lua flags=allow-oom
-- gpu-claim: claims devices for a pod that the leader is about to start, or for a running pod whose claim was lost,
-- unless other pods have them or too much of their memory.
-- KEYS    claims  hash pod -> {podId, endpointId, devices: [{uuid, shareMiB}]}; without shareMiB: exclusive use
-- ARGV    pod · claim · devices...  UUID, MiB of it (0: all, exclusively) and its memory in MiB, of each
-- RETURN  '' if the pod has the devices now, otherwise the UUID of an unavailable device
local claims = KEYS[1]
local pod, claim, devices = ARGV[1], ARGV[2], 3

local used = {}
local all = redis.call('HGETALL', claims)
for i = 1, #all, 2 do
  if all[i] ~= pod then
    for _, device in ipairs(cjson.decode(all[i + 1]).devices) do
      used[device.uuid] = (used[device.uuid] or 0) + (device.shareMiB or math.huge)
    end
  end
end
for i = devices, #ARGV, 3 do
  local uuid, share, memory = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local has = used[uuid] or 0
  if (share == 0 and has > 0) or has + share > memory then return uuid end
end
redis.call('HSET', claims, pod, claim)
return ''
