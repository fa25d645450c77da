-- include: clock names queues totals limits lanes endpoints line entries awaiting
-- A service says that it still works on an execution.
--
-- ARGV  1 now or '', 2 job id, 3 digest of the callback token, 4 progress or '', 5 ms from now for
--       which it may go on at least or '', 6 most of these in a second
-- Returns  {'heard'} | {'too_many', ms until one is taken} | {'too_long', ms it may ask for}
--       | {'unknown'}: this token is not the newest of an unfinished attempt
-- Why   one step, because it comes often. Whoever calls back has been reached: if the answer to the
--       webhook isn't here yet, or was a failure, the execution runs all the same.

redis.call('ZREM', READY, '')
local now, id, extend = clock(ARGV[1]), ARGV[2], tonumber(ARGV[5])
local job = fetch_job(id)
if not job.callback or job.callback ~= ARGV[3] then return {'unknown'} end
if extend and extend > tonumber(job.ttl) then return {'too_long', job.ttl} end

-- Those of the last second, the newest first: its time, then how long before it each other came.
local rate, at, heard = { int(now) }, nil, 0
for number in (job.rate or ''):gmatch('%d+') do
  local before = at
  at = at and at - tonumber(number) or tonumber(number)
  if at > now or at <= now - 1000 then break end
  rate[#rate + 1] = int((before or now) - at)
  heard = heard + 1
  if heard == tonumber(ARGV[6]) then return {'too_many', int(at + 1000 - now)} end
end

awaiting().take_back_claim(id, job)
if job.state ~= 'RUNNING' then awaiting().revive(open_queue(ref_of(id, job.queue)), id, job) end
redis.call('HSET', job_key(id), 'heard', now, 'rate', table.concat(rate, ' '))
if ARGV[4] ~= '' then redis.call('HSET', job_key(id), 'progress', ARGV[4]) end
awaiting().hear(id, job, now)
if extend and now + extend > tonumber(job.ends) then
  job.ends = now + extend
  redis.call('HSET', job_key(id), 'ends', int(job.ends))
  awaiting().watch(id, job, now)
end
if #order > 0 then settle_queues(now) end
return {'heard'}
