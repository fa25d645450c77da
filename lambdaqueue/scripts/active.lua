-- include: names
-- The jobs of one queue that are ready or run now.
--
-- ARGV  1 queue ref
-- Returns  {job id, …}
-- Why   both are few: windows bound the one, the workers' slots the other. So no index of them
--       is kept for each queue.

local env, name = ARGV[1]:match('^([^:]+):(.+)$')
local found = {}

local function take(id, ready)
  if id:sub(14) ~= env then return end
  local job = fetch(job_key(id), 'queue', 'state')
  if job.queue == name and (job.state == 'RUNNING') ~= ready then found[#found + 1] = id end
end

if redis.call('HEXISTS', IN_LINE, ARGV[1]) == 1 then
  for _, rq_id in ipairs(redis.call('ZRANGE', READY, 0, -1)) do
    local id, admission = rq_id:match('^(%w+)_(%d+)$')
    if redis.call('HGET', job_key(id), 'admission') == admission then take(id, true) end
  end
end
if tonumber(redis.call('HGET', 'lq:' .. env .. ':queue:' .. name, 'running') or 0) > 0 then
  for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
    for _, id in ipairs(redis.call('ZRANGE', held_key(worker), 0, -1)) do take(id, false) end
  end
end
return found
