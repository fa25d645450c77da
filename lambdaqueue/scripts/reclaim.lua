-- include: clock names queues totals limits lanes endpoints line entries executions endings creating follow_ups awaiting
-- Take back the attempts of dead workers, and those whose lease ran out: they were lost.
--
-- ARGV  1 now or '', 2 ms of silence after which a worker is dead
-- Returns  {attempts taken back, workers declared dead}
-- Why   a lost job is repeated at once, but as a suspect: alone of its kind on its worker, so a
--       job that kills workers takes no other with it twice. Only a loss as the worker's one
--       suspect counts against it; after the third it has FAILED.
--       It begins with a removing command: its writes then pass when Redis is full.

redis.call('ZREM', READY, '')
local now, silence = clock(ARGV[1]), tonumber(ARGV[2])
local MOST_LOSSES = 3
local left = 500
local lost, dead = 0, 0

-- The record of an attempt whose end nobody saw.
local LOST = 'lost: the worker died'

local function log_loss(q, id, job)
  q.error = int(now) .. ' ' .. LOST
  local log = redis.call('HGET', q.payloads, id .. '#')
  log = log and log ~= '' and cjson.decode(log) or {}
  log[#log + 1] = { n = tonumber(job.attempt), at = tonumber(job.started),
    ms = math.max(0, now - tonumber(job.started)), e = LOST }
  if #log > 20 then table.remove(log, 1) end
  log = cjson.encode(log)
  redis.call('HSET', q.payloads, id .. '#', log)
  return log
end

local function end_lost(q, id, job, state, error, log)
  endings().record(q, id, job, { state = state, error = error, log = log }, now)
  if job.next_version then endings().promote(q, id, job) else endings().forget(q, id, job) end
end

local function repeat_at_once(q, id, job, guilty)
  local losses = tonumber(job.losses or 0) + (guilty and 1 or 0)
  redis.call('HSET', job_key(id), 'state', 'RETRY', 'suspect', 1, 'losses', losses,
    'due', now, 'first', job.first or job.due)
  redis.call('HDEL', job_key(id), 'token', 'started', 'admission')
  hold_for(q, job, id)
  wait(q, id, 's', now, job.flow)
  return losses
end

local function lose(worker, id)
  redis.call('ZREM', held_key(worker), id)
  local job = fetch_job(id)
  if job.state ~= 'RUNNING' or not job.token or holder_of(job.token) ~= worker then return end
  -- Its endpoint has called back: it was reached, and needs no worker.
  if job.awaiting then return awaiting().detach(id, job) end
  local q = open_queue(ref_of(id, job.queue))
  local rq_id = id .. '_' .. job.admission
  redis.call('ZREM', WIP, rq_id .. ':' .. job.token)
  redis.call('DEL', rq_job_key(rq_id))
  count_running(q, job, -1)
  q.stirred = true
  lost = lost + 1
  tally(q, 'lost', 1)
  local log = log_loss(q, id, job)
  local guilty = job.suspect and redis.call('HGET', worker_key(worker), 'suspect') == id
  if guilty then redis.call('HDEL', worker_key(worker), 'suspect') end
  if job.dropped then
    end_lost(q, id, job, 'CANCELLED', 'cancelled: on request', log)
  elseif job.next_version then
    end_lost(q, id, job, 'CANCELLED', 'superseded: by a newer version', log)
  elseif guilty and tonumber(job.losses or 0) + 1 >= MOST_LOSSES then
    end_lost(q, id, job, 'FAILED', 'lost: three workers died on this job', log)
  else
    repeat_at_once(q, id, job, guilty)
  end
end

local function bury(worker)
  local key = held_key(worker)
  if redis.call('HSETNX', worker_key(worker), 'dead', 1) == 1 then
    redis.call('HINCRBY', SEQ, 'slots',
      -tonumber(redis.call('HGET', worker_key(worker), 'slots') or 0))
    redis.call('EXPIRE', worker_key(worker), 3600)
    dead = dead + 1
    totals.dead = (totals.dead or 0) + 1
  end
  for _, id in ipairs(redis.call('ZRANGE', key, 0, left - 1)) do
    lose(worker, id)
    left = left - 1
  end
  if redis.call('EXISTS', key) == 0 then redis.call('ZREM', WORKERS, worker) end
end

local lease_now = tonumber(redis.call('HGET', SEQ, 'lease_ms') or 0)
for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
  if left <= 0 then break end
  local beat = tonumber(redis.call('ZSCORE', WORKERS, worker))
  if beat < lease_now - silence or redis.call('HEXISTS', worker_key(worker), 'dead') == 1 then
    bury(worker)
  else
    local late = redis.call('ZRANGEBYSCORE', held_key(worker), '-inf', '(' .. int(lease_now),
      'LIMIT', 0, left)
    for _, id in ipairs(late) do lose(worker, id) end
    left = left - #late
  end
end
settle_queues(now)
return {tostring(lost), tostring(dead)}
