-- include: clock names requests queues totals limits lanes endpoints line entries describing executions endings awaiting auditing
-- End a job that waits; ask that a running one is not tried again.
--
-- KEYS  10 request
-- ARGV  1 now or '', 2 job id or '', 3 queue ref, 4 unique key, 5 'at once' or '',
--       6 whom the audit names or '', 7 their address or ''
-- Returns  {'cancelled' | 'dropped' | 'absent'} and the row of describing.lua: the job as it was
-- Why   a call that is out is not aborted: 'at once' only lets nobody wait for its end, or for a
--       callback. The highest version ever asked for is kept, so a later push of the key still
--       counts on from it.
--       It begins with a removing command: its writes then pass when Redis is full.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
redis.call('ZREM', READY, '')
local now = clock(ARGV[1])
local id, job, q = find_job(ARGV[2], ARGV[3], ARGV[4])
if not id then return {'absent'} end

local answer
local action, object, changed = 'item.cancel', q.name .. ' ' .. id, true
if ARGV[5] == 'at once' then action, object = 'execution.cancel', id end
local cancelled = { state = 'CANCELLED', error = 'cancelled: on request' }
if job.state == 'RUNNING' and ARGV[5] == 'at once' then
  answer = describe(q, id, 'cancelled')
  awaiting().detach(id, job)
  count_running(q, job, -1)
  endings().record(q, id, job, cancelled, now)
  if job.next_version then endings().promote(q, id, job) else endings().forget(q, id, job) end
  q.stirred = true
elseif job.state == 'RUNNING' then
  changed = not job.dropped or job.next_version
  redis.call('HSET', job_key(id), 'dropped', 1)
  if job.next_version then
    redis.call('HSET', job_key(id), 'top', job.next_version)
    redis.call('HDEL', job_key(id), 'next_version', 'next_due', 'next_priority', 'next_expires',
      'next_flow')
    redis.call('HDEL', q.payloads, id .. '+')
  end
  answer = describe(q, id, 'dropped')
else
  answer = describe(q, id, 'cancelled')
  withdraw(q, id, job)
  endings().finish(q, id, job, cancelled, now)
  q.stirred = true
end
settle_queues(now)
if changed then note_if_named(q.env, now, ARGV[6], ARGV[7], action, object) end
return remember(KEYS[10], answer)
