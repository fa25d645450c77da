-- include: clock names requests queues totals limits lanes endpoints line entries executions endings creating follow_ups executing auditing
-- Push what schedules have due and write their next runs, all in one step.
--
-- KEYS  10 due schedules, 11 request, for a run by hand alone
-- ARGV  1 now or '', then for each: ref, revision, the run it stands at or '' for one run by hand,
--       next run or '', how many occurrences, and for each of these: its time in ms, due in ms;
--       'later' in place of their number only lets it be looked at again at `next run`; behind a run
--       by hand: whom the audit names or '', their address or ''
-- Returns  {ids pushed, joined by spaces | 'stale', …} in order
-- Why   compare and set: of any number of schedulers one fires a run, and a resend finds it fired.
--       While `overlap` is 'skip' the last job must have ended. Runs by hand don't count among
--       `max_runs`.

local MOST_RUNS = 1000  -- that a schedule's history names
local first_answer = KEYS[11] and recall(KEYS[11])
if first_answer then return first_answer end
local now = clock(ARGV[1])

local function push(q, ref, schedule, at, due)
  local want = {
    due = math.max(now, due), priority = schedule.priority or '0', spec = schedule.spec,
    expires = schedule.max_age and math.max(now, due) + tonumber(schedule.max_age),
    occurrence = schedule.id .. '_' .. int(at), flow = schedule.flow,
  }
  if schedule.collection == 'services' then
    return execute(q, schedule.id, want, schedule.exclusive == '1', now)
  end
  local id = create(q, want, now)
  if not schedule.collection then
    redis.call('ZADD', schedule_runs_key(ref), at, id)
    redis.call('ZREMRANGEBYRANK', schedule_runs_key(ref), 0, -MOST_RUNS - 1)
  end
  return id
end

-- A timer that has fired is gone.
local function forget_timer(env, id, key)
  local timers = 'lq:' .. env .. ':timers'
  redis.call('DEL', schedule_key(env .. ':' .. id))
  redis.call('ZREM', timers, id)
  if redis.call('HGET', timers .. ':by_key', key) == id then
    redis.call('HDEL', timers .. ':by_key', key)
  end
end

local function fire(ref, revision, stands_at, next_run, occurrences)
  local key = schedule_key(ref)
  local schedule = fetch(key, 'revision', 'next', 'queue', 'spec', 'priority', 'max_age', 'overlap',
    'last', 'last_job', 'runs', 'max_runs', 'collection', 'key', 'exclusive', 'flow')
  if not schedule.revision then
    redis.call('ZREM', KEYS[10], ref)
    return 'stale'
  end
  local by_hand = stands_at == ''
  if schedule.revision ~= revision or not (by_hand or schedule.next == stands_at) then
    return 'stale'
  end
  if not occurrences then
    redis.call('ZADD', KEYS[10], next_run, ref)
    return ''
  end
  local env, id = ref:match('^([^:]+):(.+)$')
  schedule.id = id
  local q = open_queue(env .. ':' .. schedule.queue)
  local pushed, newest = {}, nil
  for _, each in ipairs(occurrences) do
    local unfinished = schedule.last_job
      and redis.call('EXISTS', job_key(schedule.last_job)) == 1
    if not (schedule.overlap == 'skip' and unfinished) then
      found_queue(q, now)
      schedule.last_job, newest = push(q, ref, schedule, each.at, each.due), each.at
      pushed[#pushed + 1] = schedule.last_job
    end
  end
  local fired = 'fired:' .. (schedule.collection or 'schedules')
  totals[fired] = (totals[fired] or 0) + #pushed
  if newest then
    newest = math.max(newest, tonumber(schedule.last or 0))
    redis.call('HSET', key, 'last', int(newest), 'last_job', schedule.last_job)
  end
  if by_hand then
    local shown_as = (schedule.key or '') ~= '' and schedule.key or id
    if newest then note_if_named(env, now, ARGV[#ARGV - 1], ARGV[#ARGV], 'schedule.run', shown_as) end
    return table.concat(pushed, ' ')
  end
  local runs = tonumber(schedule.runs or 0) + #pushed
  redis.call('HSET', key, 'runs', runs)
  -- Whoever read it before and writes it now would put the old run back.
  redis.call('HINCRBY', key, 'revision', 1)
  if next_run == '' or schedule.max_runs and runs >= tonumber(schedule.max_runs) then
    redis.call('HDEL', key, 'next')
    redis.call('ZREM', KEYS[10], ref)
    if schedule.collection == 'timers' then forget_timer(env, id, schedule.key) end
  else
    redis.call('HSET', key, 'next', next_run)
    redis.call('ZADD', KEYS[10], next_run, ref)
  end
  return table.concat(pushed, ' ')
end

local answer, at, last = {}, 2, KEYS[11] and #ARGV - 2 or #ARGV
while at <= last do
  local ref, revision, stands_at, next_run = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local count = tonumber(ARGV[at + 4])
  local occurrences = count and {}
  for i = 1, count or 0 do
    local place = at + 3 + 2 * i
    occurrences[i] = { at = tonumber(ARGV[place]), due = tonumber(ARGV[place + 1]) }
  end
  answer[#answer + 1] = fire(ref, revision, stands_at, next_run, occurrences)
  at = at + 5 + 2 * (count or 0)
end
settle_queues(now)
return KEYS[11] and remember(KEYS[11], answer) or answer
