-- buried (part): the fields that are left of a job whose data went, or nil. They lie packed in two hashes, of which the older one goes when the
-- newer one is full or old: neither their age nor their number grows without end, and none costs a key of its own.
local function buried(gone, gone_before, id)
  local packed = redis.call('HGET', gone, id) or redis.call('HGET', gone_before, id)
  if not packed then return end
  local spec, waits, past, ended, ran, wrong, expired = cmsgpack.unpack(packed)
  return { spec = spec, waits = waits, past = past, ['end'] = ended, ran = ran, error = wrong, expired = expired }
end
