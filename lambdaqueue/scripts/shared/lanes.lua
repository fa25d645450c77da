-- Flow keys: what is limited by itself within a queue, a customer say. Jobs with one wait in the
-- backlog of its lane, which lets as many into the queue (*staged*) as its limits allow; from there
-- on they are like all others. So a lane that may not go holds up nobody, and costs nothing:
-- `flows` has for each lane with a backlog when it must be looked at again, +inf if whoever frees
-- room does that.

local BAND = 1e14            -- scores of a backlog: (suspects 0, priority 9: 1, … 0: 10) * BAND + due

local function band_of(level) return level == 's' and 0 or 10 - tonumber(level) end

-- Functions that most runs have no use for are made by the first that has: all others save the time.
local lanes_made
local function lanes()
  if lanes_made then return lanes_made end
  local MOST_STAGED = 64     -- of one lane: what is staged keeps its place before later priorities
  local MOST_LANES = 50      -- in one run

  local function level_at(band) return band == 0 and 's' or tostring(10 - band) end

  local function open(q, flow)
    local lane = q.lanes[flow]
    if lane then return lane end
    local stored = fetch(flow_key(q, flow), 'staged', 'running', 'tat', 'hold')
    lane = {
      flow = flow, key = flow_key(q, flow), backlog = backlog_key(q, flow), counts = {},
      in_line = tonumber(stored.staged or 0), running = tonumber(stored.running or 0),
      tat = tonumber(stored.tat or 0), hold = q.flow.ordered and stored.hold or '',
      concurrency = q.flow.concurrency, interval = q.flow.interval, burst = q.flow.burst,
    }
    lane.stored = { in_line = lane.in_line, running = lane.running, tat = lane.tat,
      hold = stored.hold or '' }
    q.lanes[flow] = lane
    return lane
  end

  local function stir(q, lane)
    lane.stirred = true
    q.stirred = true
  end

  local function put(q, id, level, due, flow)
    local lane = open(q, flow)
    if redis.call('ZADD', lane.backlog, int(band_of(level) * BAND + due), id) == 1 then
      count(q, 'backlog', 1)
    end
    stir(q, lane)
  end

  local function take_out(q, id, flow)
    local lane = open(q, flow)
    count(q, 'backlog', -redis.call('ZREM', lane.backlog, id))
    stir(q, lane)
  end

  local function give_place_back(q, flow)
    local lane = open(q, flow)
    lane.in_line = lane.in_line - 1
    stir(q, lane)
  end

  local function note_running(q, flow, by)
    local lane = open(q, flow)
    lane.running = lane.running + by
    stir(q, lane)
  end

  local function stage_job(q, lane, id, level, due)
    redis.call('ZREM', lane.backlog, id)
    count(q, 'backlog', -1)
    redis.call('HSET', job_key(id), 'staged', 1)
    lane.in_line = lane.in_line + 1
    wait_in_queue(q, id, level, due)
  end

  -- Let one job go before all others of its lane. Returns nil, or when its lane's limits may let it.
  local function stage_first(q, lane, id, held, now)
    if lane.concurrency and lane.running >= lane.concurrency then return math.huge end
    if lane.interval and tokens_in(lane, now) < 1 then return token_at(lane, 1, now) end
    stage_job(q, lane, id, level_of(held), tonumber(held.due))
    lane.stirred = true
  end

  -- In an ordered lane a job that is to be tried again goes before all others. Returns when it's due,
  -- where that is why nothing goes; +inf where nothing may go while it's under way, or set aside.
  local function stage_held(q, lane, now)
    local held = fetch(job_key(lane.hold), 'state', 'due', 'priority', 'suspect', 'staged', 'aside')
    if not held.state then
      lane.hold = ''
      return nil
    end
    if held.staged or held.aside or held.state == 'RUNNING' then return math.huge end
    if tonumber(held.due) > now then return tonumber(held.due) end
    return stage_first(q, lane, lane.hold, held, now) or math.huge
  end

  -- Let due jobs of a lane into the queue, those of higher levels first. Returns when the next is due.
  local function stage_due(q, lane, room, now)
    local soonest, from = math.huge, 0
    while room > 0 do
      local head = redis.call('ZRANGEBYSCORE', lane.backlog, int(from), '+inf', 'WITHSCORES',
        'LIMIT', 0, 1)
      if not head[1] then return soonest end
      local band = math.floor(tonumber(head[2]) / BAND)
      local ids = redis.call('ZRANGEBYSCORE', lane.backlog, int(band * BAND), int(band * BAND + now),
        'WITHSCORES', 'LIMIT', 0, room)
      for i = 1, #ids, 2 do
        stage_job(q, lane, ids[i], level_at(band), tonumber(ids[i + 1]) - band * BAND)
        room = room - 1
      end
      local later = redis.call('ZRANGEBYSCORE', lane.backlog, '(' .. int(band * BAND + now),
        '(' .. int((band + 1) * BAND), 'WITHSCORES', 'LIMIT', 0, 1)
      if later[2] then soonest = math.min(soonest, tonumber(later[2]) - band * BAND) end
      from = (band + 1) * BAND
    end
    return soonest
  end

  -- When a lane must be looked at again.
  local function stage_lane(q, lane, now)
    if lane.hold ~= '' then
      local till = stage_held(q, lane, now)
      if till then return till end
    end
    local room, later = allowance(lane, now)
    room = math.min(room, MOST_STAGED - lane.in_line)
    if room <= 0 then return later or math.huge end
    local soonest = stage_due(q, lane, room, now)
    room, later = allowance(lane, now)
    if room <= 0 or lane.in_line >= MOST_STAGED then return later or math.huge end
    return soonest
  end

  local function stage(q, lane, now)
    lane.stirred = false
    local again = stage_lane(q, lane, now)
    if redis.call('EXISTS', lane.backlog) == 0 then redis.call('ZREM', q.flows, lane.flow)
    else redis.call('ZADD', q.flows, again == math.huge and '+inf' or again, lane.flow) end
  end

  -- Let in what the lanes allow. Returns when the next of them must be looked at.
  local function stage_all(q, now)
    for _, lane in pairs(q.lanes) do
      if lane.stirred then stage(q, lane, now) end
    end
    local due = redis.call('ZRANGEBYSCORE', q.flows, '-inf', now, 'LIMIT', 0, MOST_LANES)
    for _, flow in ipairs(due) do stage(q, open(q, flow), now) end
    local head = redis.call('ZRANGE', q.flows, 0, 0, 'WITHSCORES')
    return head[2] and head[2] ~= 'inf' and tonumber(head[2]) or nil
  end

  -- Written once, when the run closes. A lane that is empty is forgotten, but not its rate.
  local function close(q, lane, now)
    if lane.stirred and redis.call('EXISTS', lane.backlog) == 1 then
      redis.call('ZADD', q.flows, now, lane.flow)
    elseif lane.stirred then redis.call('ZREM', q.flows, lane.flow) end
    local fields = { staged = lane.in_line, running = lane.running, hold = lane.hold,
      tat = lane.tat ~= lane.stored.tat and string.format('%.12f', lane.tat) or nil }
    for field, value in pairs(fields) do
      if value == 0 or value == '' then redis.call('HDEL', lane.key, field)
      else redis.call('HSET', lane.key, field, value) end
    end
    local idle = lane.in_line == 0 and lane.running == 0 and lane.hold == ''
      and redis.call('EXISTS', lane.backlog) == 0
    if not idle then redis.call('PERSIST', lane.key)
    elseif lane.tat > now then redis.call('PEXPIRE', lane.key, int(math.ceil(lane.tat - now)))
    else redis.call('DEL', lane.key) end
  end

  at_close[#at_close + 1] = function(now)
    for _, q in ipairs(order) do
      for _, lane in pairs(q.lanes) do close(q, lane, now) end
    end
  end

  lanes_made = {
    open = open, put = put, take_out = take_out, give_place_back = give_place_back, stage_all = stage_all,
    note_running = note_running, stage_first = stage_first,
  }
  return lanes_made
end

local function has_backlog(q) return q.backlog + (q.counts.backlog or 0) > 0 end

-- Put a job among those that wait: in its lane, or in the queue.
local function wait(q, id, level, due, flow)
  if flow then return lanes().put(q, id, level, due, flow) end
  wait_in_queue(q, id, level, due)
end

-- A staged job gives its place in the lane free.
local function unstage(q, id, job)
  if not job.staged then return end
  redis.call('HDEL', job_key(id), 'staged')
  job.staged = nil
  lanes().give_place_back(q, job.flow)
end

local function count_running(q, job, by)
  count(q, 'running', by)
  if job.flow then lanes().note_running(q, job.flow, by) end
end

local function is_held_back(limited, id) return limited.hold ~= '' and limited.hold ~= id end

-- Whether its queue and its lane let a job start.
local function may_start_within(q, id, job, now)
  if is_held_back(q, id) or not may_start(q, now) then return false end
  local lane = job.flow and lanes().open(q, job.flow)
  return not lane or not is_held_back(lane, id) and may_start(lane, now)
end

local function charge(q, job, now)
  take_token(q, now)
  if job.flow then take_token(lanes().open(q, job.flow), now) end
end

local function hold_for(q, job, id)
  if q.ordered then q.hold = id end
  if q.flow.ordered and job.flow then lanes().open(q, job.flow).hold = id end
end

local function release_hold(q, job, id)
  if q.hold == id then q.hold = '' end
  local lane = job.flow and lanes().open(q, job.flow)
  if lane and lane.hold == id then lane.hold, lane.stirred, q.stirred = '', true, true end
end
