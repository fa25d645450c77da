-- include: clock names queues totals limits lanes endpoints line entries executions endings creating follow_ups awaiting outcomes
-- End executions, or attempts of them: by a callback, or because their time is over.
--
-- ARGV  1 now or '', then 11 for each: job id, digest of the callback token or '' (its time is over),
--       attempt, kind ('completed' | 'retry' | 'failed'), delay in ms, error or '', attempts as JSON,
--       max attempts, the final callback as JSON or '', its digest or '', what a success leaves for
--       the service job's next run as JSON or ''
-- Returns  {'ended' | 'gone', …} in order
-- Why   a callback and a deadline may come at once: whoever is first here ends it, the other one
--       finds it gone. Who is late by the clock is not late before that was seen.
--       It begins with a removing command: its writes then pass when Redis is full.

redis.call('ZREM', READY, '')
local now = clock(ARGV[1])
local FIRST, WIDTH = 2, 11

local function read_outcome(at)
  return {
    id = ARGV[at], token = ARGV[at + 1], attempt = ARGV[at + 2], kind = ARGV[at + 3],
    delay = tonumber(ARGV[at + 4]), error = ARGV[at + 5], log = ARGV[at + 6], max = ARGV[at + 7],
    final = ARGV[at + 8], digest = ARGV[at + 9], left = ARGV[at + 10],
  }
end

local function may_end(job, outcome)
  if (job.called or job.attempt) ~= outcome.attempt or not job.callback then return false end
  if outcome.token ~= '' then return job.callback == outcome.token end
  return job.awaiting and awaiting().overdue(job, now)
end

local function leave_state(q, job, outcome)
  if not job.service or outcome.left == '' then return end
  local ref = ref_of(outcome.id, job.service)
  -- One that was deleted and defined anew meanwhile is another job.
  local created = tonumber(fetch(schedule_key(ref), 'created').created)
  if created and created <= tonumber(job.first or job.due) then
    redis.call('SET', last_success_key(ref), outcome.left)
  end
end

local seen = {}

local function conclude(outcome)
  if seen[outcome.id] then return 'gone' end
  seen[outcome.id] = true
  local job = fetch_job(outcome.id)
  if not may_end(job, outcome) then return 'gone' end
  local q = open_queue(ref_of(outcome.id, job.queue))
  awaiting().take_back_claim(outcome.id, job)
  awaiting().revive(q, outcome.id, job)
  awaiting().detach(outcome.id, job)
  count_running(q, job, -1)
  q.stirred = true
  if outcome.kind == 'completed' then
    q.error = ''
    leave_state(q, job, outcome)
  else q.error = int(now) .. ' ' .. outcome.error end
  apply(q, job, outcome, now)
  if outcome.kind == 'retry' and not job.dropped and not job.next_version then
    forget_execution(q, outcome.id, job, outcome.digest ~= '' and outcome.digest or '-')
  end
  return 'ended'
end

local answer = {}
for at = FIRST, #ARGV, WIDTH do answer[#answer + 1] = conclude(read_outcome(at)) end
settle_queues(now)
return answer
