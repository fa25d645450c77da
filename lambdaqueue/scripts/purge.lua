-- include: clock names queues totals limits lanes endpoints line entries executions endings
-- Delete jobs that wait, without a trace in history.
--
-- ARGV  1 now or '', 2 queue ref, 3 'PENDING' | 'RETRY' | '' for both, then at most 500 job ids
-- Returns  {jobs deleted}
-- Why   what runs goes on and ends as usual. Its id names a job for ever, so this can be sent twice.
--       It begins with a removing command: an operator purges just when Redis is full.

redis.call('ZREM', READY, '')
local now, q, wanted, deleted = clock(ARGV[1]), open_queue(ARGV[2]), ARGV[3], 0

local seen = {}

local function purge(id)
  if seen[id] then return end
  seen[id] = true
  local job = fetch_job(id)
  if not job.state or job.state == 'RUNNING' or job.queue ~= q.name then return end
  if wanted ~= '' and job.state ~= wanted then return end
  withdraw(q, id, job)
  if job.service then unlist_execution(q.env, job.service, id) end
  endings().forget(q, id, job)
  deleted = deleted + 1
end

for i = 4, #ARGV do purge(ARGV[i]) end
if deleted > 0 then count(q, COUNTER.CANCELLED, deleted) end
q.stirred = true
settle_queues(now)
return {tostring(deleted)}
