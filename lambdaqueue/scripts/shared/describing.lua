-- A job as callers read it: {place, id, queue's settings or '', environment's retry or '',
-- field, value, …}, with `spec`, `log` and `next_spec` from the payloads.

local function describe(q, id, place)
  local row = {place, id, q.settings,
    redis.call('HGET', q.environment, 'retry') or ''}
  for _, item in ipairs(redis.call('HGETALL', job_key(id))) do row[#row + 1] = item end
  local stored = redis.call('HMGET', q.payloads, id, id .. '#', id .. '+')
  for i, name in ipairs({'spec', 'log', 'next_spec'}) do
    if stored[i] then
      row[#row + 1] = name
      row[#row + 1] = stored[i]
    end
  end
  return row
end
