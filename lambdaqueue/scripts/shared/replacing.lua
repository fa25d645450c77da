-- A new version takes the place of one that waits, or waits beside one that runs.

local function forget_progress(id)
  redis.call('HDEL', job_key(id), 'attempt', 'failures', 'first', 'losses', 'suspect', 'expires',
    'priority')
end

-- `want`: due, priority, expires or nil, spec. Returns what happened and the new version.
local function supersede(q, id, job, want, now)
  local version = int(math.max(job.version, job.next_version or 0, job.top or 0) + 1)
  count(q, 'versions', 1)
  if job.state == 'RUNNING' then
    redis.call('HDEL', job_key(id), 'next_expires', 'next_flow')
    redis.call('HSET', job_key(id), 'next_version', version, 'next_due', want.due,
      'next_priority', want.priority)
    if want.expires then redis.call('HSET', job_key(id), 'next_expires', want.expires) end
    if want.flow then redis.call('HSET', job_key(id), 'next_flow', want.flow) end
    redis.call('HSET', q.payloads, id .. '+', want.spec)
    return 'pending', version
  end
  -- A ready job that stays due now keeps its entry in the line.
  local stays = is_ready(job) and want.due <= now and level_of(job) == want.priority
    and job.flow == want.flow
  if not stays then withdraw(q, id, job) end
  release_hold(q, job, id)
  forget_progress(id)
  if want.flow then redis.call('HSET', job_key(id), 'flow', want.flow)
  else redis.call('HDEL', job_key(id), 'flow') end
  if job.callback then forget_execution(q, id, job) end
  redis.call('HSET', job_key(id), 'state', 'PENDING', 'version', version, 'due', want.due)
  if want.priority ~= '0' then redis.call('HSET', job_key(id), 'priority', want.priority) end
  if want.expires then redis.call('HSET', job_key(id), 'expires', want.expires) end
  redis.call('HSET', q.payloads, id, want.spec)
  redis.call('HDEL', q.payloads, id .. '#')
  if not stays then wait(q, id, want.priority, want.due, want.flow) end
  return 'replaced', version
end
