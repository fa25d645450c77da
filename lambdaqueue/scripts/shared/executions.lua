-- The executions of service jobs are listed three times: among all of their environment, of their
-- service, and of their job. Ids begin with a clock, so the lists are in the order of the making.
-- What is listed is unfinished or has its entry in history.

local function lists_of(env, service_job)
  local all = 'lq:' .. env .. ':executions'
  return { all, all .. ':' .. service_job:match('^[^/]+'), all .. ':' .. service_job }
end

local function list_execution(env, service_job, id)
  for _, list in ipairs(lists_of(env, service_job)) do redis.call('ZADD', list, 0, id) end
end

local function unlist_execution(env, service_job, id)
  for _, list in ipairs(lists_of(env, service_job)) do redis.call('ZREM', list, id) end
end

local MOST_TOKENS = 64  -- more attempts than a policy has; a key may be pushed for ever

-- The digests of its callback tokens, the newest last: they go on to be known.
local function tokens_of(job)
  if not job.callback then return job.tokens end
  local all = {}
  for token in ((job.tokens or '') .. ' ' .. job.callback):gmatch('%S+') do all[#all + 1] = token end
  return table.concat(all, ' ', math.max(1, #all - MOST_TOKENS + 1))
end

-- An attempt's callback token counts no more; that it once did stays known, and what ended the
-- attempt if another one follows: the digest of a final callback, '-' if the clock did, or nil.
local function retire_token(id, job, closed)
  if job.callback then
    if closed then job.callback = job.callback .. '=' .. closed end
    redis.call('HSET', job_key(id), 'tokens', tokens_of(job))
    redis.call('HDEL', job_key(id), 'callback')
    job.tokens, job.callback = tokens_of(job), nil
  end
end

local function await_no_more(q, id, job)
  if job.awaiting then count(q, 'awaiting', -redis.call('ZREM', q.awaiting, id)) end
end

-- What is known of an attempt that ran until its callback, when another one is to follow.
local function forget_execution(q, id, job, closed)
  retire_token(id, job, closed)
  await_no_more(q, id, job)
  redis.call('HDEL', job_key(id), 'awaiting', 'ends', 'beaten', 'heard', 'rate', 'progress',
    'failed', 'called')
end
