-- checking, map (part): check() notes that something does not hold, in words; these (max at most) and how often that was; and a hash as a table.
local function checking(max)
  local wrong, told = 0, {}
  local function check(holds, ...)
    if holds then return end
    wrong = wrong + 1
    if #told < max then told[#told + 1] = table.concat({ ... }, ' ') end
  end
  return check, told, function() return wrong end
end

local function map(key)
  local flat, all = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do all[flat[i]] = flat[i + 1] end
  return all
end
