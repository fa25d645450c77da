-- include: clock names queues totals limits lanes endpoints line entries executions endings creating follow_ups
-- Take up to `most` jobs out of the line for one worker: they are RUNNING when this returns.
--
-- KEYS  10 worker, 11 held
-- ARGV  1 now or '', 2 worker, 3 claim number, 4 most, 5 RQ worker's name or '' for a
--       stock worker, whose books RQ keeps itself, 6 lease in ms,
--       then the RQ job ids to take, for a stock worker that has popped its job itself
-- Returns  {'claimed' | 'suspended' | 'dead', now, held back, queues, environments, job…}: queues is
--       {ref, settings or '', its own secret or '', …}, environments {id, retry or '', secret or '',
--       the previous one while that counts or '', …}; each job is {field, value, …}
-- Why   the same claim number gets the same jobs again, so a lost reply loses none. Paused
--       queues, cancelled jobs and max ages are looked at here again: pausing bites at once.
--       It begins with a removing command: its writes then pass when Redis is full.

redis.call('ZREM', READY, '')
local now, worker, number, most = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local lease, stock, stamp = tonumber(ARGV[6]), ARGV[5] == '', iso(now)

local me = fetch(KEYS[10], 'suspect', 'claim', 'claimed', 'dead')
if me.dead or not redis.call('ZSCORE', WORKERS, worker) then return {'dead'} end
local lease_now = tonumber(redis.call('HGET', SEQ, 'lease_ms') or 0)
redis.call('ZADD', WORKERS, lease_now, worker)

local jobs, queues, environments, seen = {}, {}, {}, {}
local claimed, held, started = {}, {}, {}
local held_back = 0

local function append(list, ...)
  for _, value in ipairs({...}) do list[#list + 1] = value end
end

-- What all jobs of a queue, and of an environment, share goes out once.
local function tell_of(q)
  if seen[q.ref] then return end
  seen[q.ref] = true
  append(queues, q.ref, q.settings, q.secret)
  if seen[q.env] then return end
  seen[q.env] = true
  local found = fetch(q.environment, 'retry', 'secret', 'previous', 'previous_until')
  local previous = tonumber(found.previous_until or 0) > now and found.previous
  append(environments, q.env, found.retry or '', found.secret or '', previous or '')
end

local function hand_out(q, id, job)
  local stored = redis.call('HMGET', q.payloads, id, id .. '#')
  tell_of(q)
  local row = { 'id', id, 'queue', q.ref, 'version', job.version, 'token', job.token,
    'attempt', job.attempt, 'first', job.first or job.due, 'spec', stored[1] or '\n' }
  local at = #row
  local function add(name, value)
    if value then
      row[at + 1], row[at + 2] = name, value
      at = at + 2
    end
  end
  add('failures', job.failures)
  add('expires', job.expires)
  add('key', job.key)
  add('occurrence', job.occurrence)
  add('log', stored[2])
  jobs[#jobs + 1] = row
end

local function start(q, id, job, rq_id, endpoint)
  job.token = worker .. '.' .. number .. '.' .. (#claimed + 1)
  job.attempt = int((job.attempt or 0) + 1)
  redis.call('HSET', job_key(id), 'state', 'RUNNING', 'attempt', job.attempt,
    'token', job.token, 'started', now)
  claimed[#claimed + 1] = id
  held[#held + 1] = lease_now + lease
  held[#held + 1] = id
  if not stock then
    redis.call('HSET', rq_job_key(rq_id), 'status', 'started', 'worker_name', ARGV[5],
      'started_at', stamp)
    started[#started + 1] = '+inf'
    started[#started + 1] = rq_id .. ':' .. job.token
  end
  unstage(q, id, job)
  charge(q, job, now)
  count_running(q, job, 1)
  if endpoint then endpoints().note_start(endpoint, id, job.token) end
  if job.suspect then
    me.suspect = id
    redis.call('HSET', KEYS[10], 'suspect', id)
  end
  hand_out(q, id, job)
end

local function consider(rq_id)
  local id, admission = parse_entry(rq_id)
  if not id then return end
  local job = fetch_job(id)
  local live = is_ready(job) and job.admission == admission
  local q = leave_line(rq_id, id, job, live)
  local expired = live and job.expires and tonumber(job.expires) < now
  local must_wait = live and not expired
    and (q.paused or (job.suspect and me.suspect) or not may_start_within(q, id, job, now))
  local may_go = live and not expired and not must_wait
  local endpoint = may_go and in_trouble(q) and endpoints().open(q, id)
  local rests = endpoint and endpoints().must_rest(q, endpoint, now)
  if may_go and not rests then return start(q, id, job, rq_id, endpoint) end
  if not stock then doom(rq_job_key(rq_id)) end
  if rests then endpoints().set_aside(q, endpoint, id, job, now)
  elseif expired then
    endings().finish(q, id, job, { state = 'FAILED', error = 'expired: its max age is over' }, now)
  elseif must_wait then
    put_back(q, id, job)
    if not q.paused and job.suspect then held_back = held_back + 1 end
  end
end

if me.claim == number then
  for id in (me.claimed or ''):gmatch('%S+') do
    local job = fetch_job(id)
    if job.token and job.token:sub(1, #worker + #number + 2) == worker .. '.' .. number .. '.' then
      hand_out(open_queue(ref_of(id, job.queue)), id, job)
    end
  end
  return {'claimed', int(now), '0', queues, environments, unpack(jobs)}
end

-- A copy of an older call that the network held back: nobody would get the jobs.
if tonumber(number) < tonumber(me.claim or 0) then
  return {'claimed', int(now), '0', queues, environments}
end

if redis.call('EXISTS', SUSPENDED) == 1 then return {'suspended'} end
local entries = {}
if ARGV[7] then
  for i = 7, #ARGV do entries[#entries + 1] = ARGV[i] end
elseif most > 0 then
  entries = redis.call('LPOP', LINE, math.min(most, MOST_MOVED)) or {}
end
for _, rq_id in ipairs(entries) do consider(rq_id) end
if #entries > 0 then redis.call('ZREM', READY, unpack(entries)) end
if #claimed > 0 then
  redis.call('ZADD', KEYS[11], unpack(held))
end
if #started > 0 then redis.call('ZADD', WIP, unpack(started)) end
redis.call('HSET', KEYS[10], 'claim', number, 'claimed', table.concat(claimed, ' '))
settle_queues(now)
return {'claimed', int(now), tostring(held_back), queues, environments, unpack(jobs)}
