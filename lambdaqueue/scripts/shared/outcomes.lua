-- What follows from an attempt that has ended, by its answer, a callback or a deadline.

-- An outcome: id, kind ('completed' | 'retry' | 'failed' | 'released' | 'unsent'), delay, error, log,
-- result, body, max, and of an execution `final`.
local function end_with(q, job, outcome, state, error, now)
  endings().record(q, outcome.id, job, { state = state, error = error, log = outcome.log,
    result = outcome.result, body = outcome.body, max = outcome.max, final = outcome.final }, now)
  if job.next_version then endings().promote(q, outcome.id, job) else endings().forget(q, outcome.id, job) end
end

-- It goes on: as a retry, or handed back by a worker that stops.
local function go_on(q, job, outcome, now)
  local id, attempt = outcome.id, tonumber(job.attempt)
  local due, failures = tonumber(job.due), tonumber(job.failures or 0)
  if outcome.kind == 'retry' then
    due, failures = now + outcome.delay, failures + 1
    tally_error(q, 'retry:', outcome.error)
    redis.call('HDEL', job_key(id), 'suspect', 'losses')
    job.suspect = nil
    redis.call('HSET', q.payloads, id .. '#', outcome.log)
    if job.callback then redis.call('HSET', job_key(id), 'failed', attempt) end
  elseif outcome.kind == 'unsent' then
    attempt = attempt - 1
    if (outcome.delay or 0) > 0 then due = now + outcome.delay end
  end
  redis.call('HSET', job_key(id), 'state', attempt > 0 and 'RETRY' or 'PENDING',
    'attempt', attempt, 'failures', failures, 'due', due, 'first', job.first or job.due)
  redis.call('HDEL', job_key(id), 'token', 'started', 'admission')
  hold_for(q, job, id)
  wait(q, id, level_of(job), due, job.flow)
end

local function apply(q, job, outcome, now)
  if outcome.kind == 'completed' then
    return end_with(q, job, outcome, 'COMPLETED', nil, now)
  end
  if job.dropped then
    return end_with(q, job, outcome, 'CANCELLED', 'cancelled: on request', now)
  end
  if job.next_version then
    return end_with(q, job, outcome, 'CANCELLED', 'superseded: by a newer version', now)
  end
  if outcome.kind == 'failed' then
    return end_with(q, job, outcome, 'FAILED', outcome.error, now)
  end
  go_on(q, job, outcome, now)
end
