-- Executions of service jobs begin here.

-- `want` as in creating.lua. One that is refused ends at once; history tells. Returns its id.
local function execute(q, service_job, want, exclusive, now)
  local unfinished = unfinished_key(q.env .. ':' .. service_job)
  local refused = exclusive and redis.call('EXISTS', unfinished) == 1
  local id = create(q, want, now)
  redis.call('HSET', job_key(id), 'service', service_job)
  if want.retry_of then redis.call('HSET', job_key(id), 'retry_of', want.retry_of) end
  list_execution(q.env, service_job, id)
  redis.call('SADD', unfinished, id)
  if refused then
    local job = fetch_job(id)
    withdraw(q, id, job)
    endings().finish(q, id, job, { state = 'FAILED',
      error = 'exclusive_lock: another execution of the job is unfinished' }, now)
  end
  return id
end
