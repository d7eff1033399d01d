-- pod-room (part): whether an endpoint may have one more pod of a declaration. Every pod counts until it has exited,
-- including those that drain or stop, because they still use memory and GPUs. Pods of other declarations are being
-- replaced; all pods together may be at most twice max.
local function hasroom(pods, fingerprint, max)
  local same, all = 0, 0
  for _, record in ipairs(redis.call('HVALS', pods)) do
    local pod = cjson.decode(record)
    if pod.state ~= 'Failed' then
      all = all + 1
      if pod.fingerprint == fingerprint then same = same + 1 end
    end
  end
  return same < max and all < 2 * max
end
