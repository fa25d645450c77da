-- include: clock names requests queues totals limits lanes endpoints line entries describing auditing
-- Make a waiting job due now.
--
-- KEYS  10 request, 11 idempotency key or ''
-- ARGV  1 now or '', 2 job id, 3 fingerprint or '', 4 s to remember the idempotency key,
--       5 whom the audit names or '', 6 their address or ''
-- Returns  {'due' | 'replayed' | 'mismatch' | 'running' | 'absent'} and the row of describing.lua

local now, fingerprint = clock(ARGV[1]), ARGV[3]
local first_answer = recall(KEYS[10]) or recall_for_client(KEYS[11], fingerprint)
if first_answer then return first_answer end
local id, job, q = find_job(ARGV[2])
if not id then return {'absent'} end
if job.state == 'RUNNING' then return {'running'} end

if tonumber(job.due) > now then
  redis.call('HSET', job_key(id), 'due', now)
  -- What is set aside waits for its endpoint; it was due by an earlier clock.
  if not is_ready(job) and not job.aside then wait(q, id, level_of(job), now, not job.staged and job.flow or nil) end
  note_if_named(q.env, now, ARGV[5], ARGV[6], 'item.run', q.name .. ' ' .. id)
end
local answer = describe(q, id, 'due')
settle_queues(now)
remember_for_client(KEYS[11], fingerprint, answer, ARGV[4])
return remember(KEYS[10], answer)
