-- Jobs whose endpoint has taken them and that a callback ends: they hold no worker and no lease.
-- Each stands among the awaiting of its queue with its deadline; `lq:deadlines` has, for each such
-- queue, a time that is no later than the soonest of these.

local DEADLINES = 'lq:deadlines'

local awaiting_made
local function awaiting()
  if awaiting_made then return awaiting_made end
  local MISSED = 2  -- intervals without a heartbeat

  -- Silence is measured by the lease clock, which stands still while Redis or all schedulers are
  -- away: nobody could be heard then. The end that was agreed is a time of day.
  local function lease_clock() return tonumber(redis.call('HGET', SEQ, 'lease_ms') or 0) end

  local function silence_ends(job) return tonumber(job.beaten) + MISSED * tonumber(job.beat) end

  -- Why a job's time is over; nil while it isn't.
  local function overdue(job, now)
    if now >= tonumber(job.ends) then return 'callback_timeout' end
    if lease_clock() >= silence_ends(job) then return 'heartbeat_missed' end
  end

  local function watch(id, job, now)
    local ref = ref_of(id, job.queue)
    local deadline = math.min(tonumber(job.ends), now + math.max(1, silence_ends(job) - lease_clock()))
    redis.call('ZADD', awaiting_key(ref), deadline, id)
    local soonest = redis.call('ZSCORE', DEADLINES, ref)
    if not soonest or deadline < tonumber(soonest) then redis.call('ZADD', DEADLINES, deadline, ref) end
  end

  -- It was heard of: by the answer that took it, or by a callback.
  local function hear(id, job, now)
    job.beaten = lease_clock()
    local news = { 'beaten', job.beaten }
    if not job.awaiting then
      job.awaiting, job.ends = now, now + tonumber(job.ttl)
      news = { 'beaten', job.beaten, 'awaiting', now, 'ends', int(job.ends) }
      count(open_queue(ref_of(id, job.queue)), 'awaiting', 1)
    end
    redis.call('HSET', job_key(id), unpack(news))
    watch(id, job, now)
  end

  -- The call that brought it is of no more interest, whatever its worker will say.
  local function detach(id, job)
    if not job.token then return end
    local worker, rq_id = holder_of(job.token), id .. '_' .. (job.admission or '')
    redis.call('ZREM', held_key(worker), id)
    if redis.call('HGET', worker_key(worker), 'suspect') == id then
      redis.call('HDEL', worker_key(worker), 'suspect')
    end
    -- A stock worker has no entry here: RQ keeps its books, and the job in them.
    if redis.call('ZREM', WIP, rq_id .. ':' .. job.token) == 1 then
      redis.call('DEL', rq_job_key(rq_id))
    end
    redis.call('HDEL', job_key(id), 'token', 'admission', 'suspect', 'losses')
    job.token, job.admission, job.suspect = nil, nil, nil
  end

  -- A callback is about the attempt that was invoked. What a worker has claimed since then, and not
  -- invoked yet, is no attempt: it's found to be of no use.
  local function take_back_claim(id, job)
    if job.state ~= 'RUNNING' or job.awaiting or not job.called or job.called == job.attempt then
      return
    end
    job.attempt = job.called
    redis.call('HSET', job_key(id), 'attempt', job.attempt)
    if job.failed == job.called then
      job.failures = int(tonumber(job.failures) - 1)
      redis.call('HSET', job_key(id), 'failures', job.failures)
    end
  end

  -- What was taken for a failed start has begun all the same: its callback says so.
  local function revive(q, id, job)
    if job.state == 'RUNNING' then return end
    withdraw(q, id, job)
    if job.failed == job.attempt then
      job.failures = int(tonumber(job.failures) - 1)
      redis.call('HSET', job_key(id), 'failures', job.failures)
    end
    redis.call('HSET', job_key(id), 'state', 'RUNNING')
    redis.call('HDEL', job_key(id), 'suspect', 'losses')
    job.state, job.admission = 'RUNNING', nil
    count_running(q, job, 1)
  end

  awaiting_made = {
    overdue = overdue, watch = watch, hear = hear, detach = detach,
    take_back_claim = take_back_claim, revive = revive,
  }
  return awaiting_made
end
