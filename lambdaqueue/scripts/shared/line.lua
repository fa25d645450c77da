-- The line of ready jobs is RQ's list. `admit` moves a queue's earliest due jobs into it as real
-- RQ jobs, as far as the queue has room. Every script that frees room or lifts a hold ends here.

local MOST_MOVED = 500     -- jobs in one run: a script must not hold Redis for long
local SEND_AGAIN = 1000    -- s RQ gives a job: longer than the longest attempt
local KEEP_FAILED = 60     -- s that RQ keeps what a stock worker failed to run
local moved_so_far = 0

-- Made within a function: each script makes all of these, and what they share costs less so.
local admit = (function()
  local slots, busy

  -- The window follows the workers: twice their slots, shared among the queues with ready jobs.
  local function room_in(q)
    if not slots then
      slots = tonumber(redis.call('HGET', SEQ, 'slots') or 0)
      busy = redis.call('HLEN', IN_LINE)
    end
    local share = math.floor(2 * slots / math.max(1, busy))
    return math.min(q.window, math.max(SMALLEST_WINDOW, share)) - q.in_line
  end

  local function enqueue(q, ids, level, now)
    local number = redis.call('HINCRBY', SEQ, 'admission', #ids) - #ids
    local stamp, line, ready = iso(now), {}, {}
    for i, id in ipairs(ids) do
      number = number + 1
      local rq_id = id .. '_' .. number
      redis.call('HSET', job_key(id), 'admission', number)
      redis.call('HSET', rq_job_key(rq_id),
        'data', '["workers.tasks.deliver",null,["' .. id .. '",' .. number .. '],{}]',
        'origin', 'lambdaqueue', 'status', 'queued', 'description', 'LambdaQueue delivery',
        'created_at', stamp, 'enqueued_at', stamp,
        'timeout', SEND_AGAIN, 'result_ttl', 0, 'failure_ttl', KEEP_FAILED,
        'queue', q.ref, 'level', level)
      line[i] = rq_id
      ready[2 * i - 1], ready[2 * i] = number, rq_id
    end
    redis.call('RPUSH', LINE, unpack(line))
    redis.call('ZADD', READY, unpack(ready))
    if q.in_line == 0 then redis.call('SADD', RQ_QUEUES, LINE) end
    q.in_line = q.in_line + #ids
    if level == 's' then q.suspects = q.suspects + #ids end
    moved_so_far = moved_so_far + #ids
  end

  -- Admit from one level; returns the time of its next job if that is not due yet.
  local function admit_level(q, level, room, now)
    local key = q.waiting .. level
    -- One suspect of a queue at a time is in the line, so suspects never fill it.
    local most = level == 's' and math.min(room, 1 - q.suspects) or room
    most = math.min(most, MOST_MOVED - moved_so_far)
    if most > 0 then
      local ids = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, most)
      if #ids > 0 then
        redis.call('ZREM', key, unpack(ids))
        enqueue(q, ids, level, now)
      end
      if #ids == most then return nil, #ids end
      local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
      if first[1] then return tonumber(first[2]), #ids end
      q.levels = q.levels:gsub(level, '')
      return nil, #ids
    end
    if level ~= 's' then return nil, 0 end
    local later = redis.call('ZRANGEBYSCORE', key, '(' .. int(now), '+inf', 'WITHSCORES',
      'LIMIT', 0, 1)
    return later[2] and tonumber(later[2]), 0
  end

  -- In an ordered queue a job that is to be tried again goes before all others. Returns its due time
  -- if that is why nothing goes, and how much room is left.
  local function admit_held(q, room, now)
    local held = fetch(job_key(q.hold), 'state', 'due', 'priority', 'suspect', 'admission', 'flow',
      'staged', 'aside')
    if not held.state then
      q.hold = ''
      return nil, room
    end
    if held.admission or held.aside or held.state == 'RUNNING' then return nil, 0 end
    if tonumber(held.due) > now then return tonumber(held.due), 0 end
    if held.flow and not held.staged then
      local later = lanes().stage_first(q, lanes().open(q, held.flow), q.hold, held, now)
      if later then return later < math.huge and later or nil, 0 end
    end
    redis.call('ZREM', q.waiting .. level_of(held), q.hold)
    enqueue(q, {q.hold}, level_of(held), now)
    return nil, 0
  end

  local function admit_levels(q, room, now)
    local soonest
    for level in q.levels:gmatch('.') do
      local due, taken = admit_level(q, level, room, now)
      room = room - taken
      if room <= 0 then break end
      if due and (not soonest or due < soonest) then soonest = due end
    end
    if moved_so_far >= MOST_MOVED then soonest = now end
    return soonest, room
  end

  local function sooner(one, other) return one and other and math.min(one, other) or one or other end

  -- When the queue must be looked at again; nil where whoever frees room does it.
  local function admit_due(q, now)
    if q.levels == '' and not has_backlog(q) then return nil end
    local allowed, later = allowance(q, now)
    local room, soonest = math.min(room_in(q), allowed), nil
    if room <= 0 then return later end
    local staging = has_backlog(q) and lanes().stage_all(q, now) or nil
    if q.hold ~= '' then
      soonest, room = admit_held(q, room, now)
      if room <= 0 then return sooner(soonest, staging) end
    end
    soonest, room = admit_levels(q, room, now)
    if room > 0 then return sooner(soonest, staging) end
    allowed, later = allowance(q, now)
    return later
  end

  local function admit(q, now)
    q.stirred = false
    local again
    if not q.paused then
      local looking = in_trouble(q) and endpoints().look_round(q, now) or nil
      again = sooner(admit_due(q, now), looking)
    end
    if not again then return redis.call('ZREM', WAKE, q.ref) end
    local head = redis.call('ZRANGE', WAKE, 0, 0, 'WITHSCORES')
    redis.call('ZADD', WAKE, again, q.ref)
    if not head[1] or again < tonumber(head[2]) then
      redis.call('PUBLISH', 'lq:alarm', int(again))
    end
  end

  return admit
end)()

-- The last act of every script that changes jobs.
local function settle_queues(now)
  for _, act in ipairs(before_admit) do act(now) end
  if #doomed > 0 then redis.call('DEL', unpack(doomed)) end
  for _, q in ipairs(order) do
    if q.stirred then admit(q, now) end
  end
  for _, act in ipairs(at_close) do act(now) end
  write_counts(now)
  close_queues()
end
