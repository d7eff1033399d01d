-- pod-room (part): whether one more pod of a declaration may live. Every pod counts until it is gone, also one that drains or
-- stops: it still has its memory and its GPU. Pods of other declarations are being replaced; all together are at most twice max.
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
