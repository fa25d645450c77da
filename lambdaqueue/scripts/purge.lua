-- include: clock names requests queues totals limits lanes endpoints line entries executions endings auditing
-- Delete jobs that wait, without a trace in history.
--
-- KEYS  10 request
-- ARGV  1 now or '', 2 queue ref, 3 'PENDING' | 'RETRY' | '' for both, 4 whom the audit names or '',
--       5 their address or '', then at most 500 job ids
-- Returns  {jobs deleted}
-- Why   what runs goes on and ends as usual. A purge takes many steps: the first that deletes something
--       is noted. It begins with a removing command: an operator purges just when Redis is full.

redis.call('ZREM', READY, '')
local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
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

for i = 6, #ARGV do purge(ARGV[i]) end
if deleted > 0 then count(q, COUNTER.CANCELLED, deleted) end
q.stirred = true
settle_queues(now)
if deleted > 0 then
  local state = wanted ~= '' and wanted or 'waiting'
  note_if_named(q.env, now, ARGV[4], ARGV[5], 'queue.purge', q.name .. ' ' .. state)
end
return remember(KEYS[10], {tostring(deleted)})
