-- The queues that this run touches: each is read once, its counters are written once, at `close`.

local MOST_FRESH = 200  -- as many as metrics name where nothing else is set
local SMALLEST_WINDOW, FIRST_WINDOW, LARGEST_WINDOW = 4, 16, 512
local touched, order = {}, {}
local totals = {}  -- what this run adds to what is counted of no queue
local others = {}  -- and to the counts of queues that metrics don't name
local OWN = { backlog = true, troubled = true, opened = true }  -- of no interest there
local before_admit, at_close = {}, {}  -- what other pieces still have to write: functions of now

-- What its owner allows: attempts at once; a rate as `<ms between two> <most at once>`; and whether
-- jobs go one after the other, a failed one before those behind it.
local function set_limits(q, stored)
  q.ordered = stored.ordered == '1'
  q.concurrency = q.ordered and 1 or tonumber(stored.concurrency)
  local interval, burst = (stored.rate or ''):match('^(%S+) (%d+)$')
  q.interval, q.burst = tonumber(interval), tonumber(burst)
  if not q.ordered then q.hold = '' end
  local ratio, window = (stored.breaker or ''):match('^(%S+) (%d+)$')
  q.breaker = ratio and { ratio = tonumber(ratio), window = tonumber(window) }
  q.flow = { concurrency = stored.flow_ordered == '1' and 1 or tonumber(stored.flow_concurrency),
    ordered = stored.flow_ordered == '1' }
  local every, most = (stored.flow_rate or ''):match('^(%S+) (%d+)$')
  q.flow.interval, q.flow.burst = tonumber(every), tonumber(most)
end

local function open_queue(ref)
  local q = touched[ref]
  if q then return q end
  local env, name = ref:match('^([^:]+):(.+)$')
  local prefix = 'lq:' .. env .. ':'
  local key = prefix .. 'queue:' .. name
  local stored = fetch_all(key)
  local in_line = redis.call('HMGET', IN_LINE, ref, ref .. '|s')
  q = {
    ref = ref, env = env, name = name, key = key,
    known = stored.created ~= nil,
    created = tonumber(stored.created or 0),
    paused = stored.paused == '1',
    target = stored.target,
    settings = stored.settings or '',
    secret = stored.secret or '',
    error = stored.error or '',
    levels = stored.levels or '',
    window = tonumber(stored.window or FIRST_WINDOW),
    history_limit = tonumber(stored.history_limit or 10000),
    failed_limit = tonumber(stored.failed_limit or 10000),
    in_line = tonumber(in_line[1] or 0),
    suspects = tonumber(in_line[2] or 0),
    payloads = prefix .. 'payloads:' .. name,
    awaiting = prefix .. 'awaiting:' .. name,
    piece = tonumber(stored.piece or 0),
    unnamed = stored.unnamed,
    flows = prefix .. 'flows:' .. name,
    backlog = tonumber(stored.backlog or 0),
    lanes = {},
    resting = prefix .. 'resting:' .. name,
    troubled = tonumber(stored.troubled or 0),
    endpoints = {},
    keys = prefix .. 'keys:' .. name,
    waiting = prefix .. 'waiting:' .. name .. ':',
    history = prefix .. 'history:' .. name .. ':',
    latest = prefix .. 'latest:' .. name,
    ended = prefix .. 'ended',
    queues = prefix .. 'queues',
    environment = prefix .. 'env',
    running = tonumber(stored.running or 0),
    tat = tonumber(stored.tat or 0),
    hold = stored.hold or '',
    on_success = stored.on_success, on_failure = stored.on_failure,
    counts = {},
  }
  set_limits(q, stored)
  q.stored = { window = q.window, levels = q.levels, suspects = q.suspects, in_line = q.in_line,
    error = q.error, tat = q.tat, hold = q.hold }
  touched[ref] = q
  order[#order + 1] = q
  return q
end

-- Queues exist on demand: the first job or setting makes one.
local function found_queue(q, now)
  if q.known then return end
  q.known, q.created = true, now
  redis.call('HSET', q.key, 'created', now)
  redis.call('ZADD', q.queues, 0, q.name)
  redis.call('SADD', 'lq:environments', q.env)
  -- The first ones count for themselves alone until the metrics are read; see `scrape.lua`.
  if redis.call('ZCARD', 'lq:busiest') < MOST_FRESH then redis.call('SADD', 'lq:fresh', q.ref)
  else
    q.unnamed = '1'
    redis.call('HSET', q.key, 'unnamed', 1)
  end
  redis.call('ZADD', 'lq:busiest', 'NX', 0, q.ref)
end

local function count(q, what, by) q.counts[what] = (q.counts[what] or 0) + by end

-- A job's level is its priority, or 's' for a suspect.
local function level_of(job)
  return job.suspect and 's' or (job.priority or '0')
end

-- `admission` names the entry of a ready or running job.
local function is_ready(job) return job.admission and job.state ~= 'RUNNING' end

-- Put a job among those that wait for the queue itself.
local function wait_in_queue(q, id, level, due)
  redis.call('ZADD', q.waiting .. level, due, id)
  if not q.levels:find(level, 1, true) then
    local all = {}
    for each in (q.levels .. level):gmatch('.') do all[#all + 1] = each end
    table.sort(all, function(a, b) return a > b end)
    q.levels = table.concat(all)
  end
  q.stirred = true
end

local doomed = {}

-- Delete a key when the run closes.
local function doom(key) doomed[#doomed + 1] = key end

-- Each queue's part is written at once; what the others share is summed up first.
local function add_to(q, key, what, by)
  if by == 0 then return end
  redis.call('HINCRBY', key, what, by)
  if q.unnamed and not OWN[what] then others[what] = (others[what] or 0) + by end
end

local function write_in_line(field, number, was)
  if number == was then return end
  if number > 0 then redis.call('HSET', IN_LINE, field, number) else redis.call('HDEL', IN_LINE, field) end
end

local function close_queue(q)
  local was = q.stored
  for what, by in pairs(q.counts) do add_to(q, q.key, what, by) end
  if q.window ~= was.window then redis.call('HSET', q.key, 'window', q.window) end
  if q.levels ~= was.levels then redis.call('HSET', q.key, 'levels', q.levels) end
  if q.error ~= was.error then redis.call('HSET', q.key, 'error', q.error) end
  if q.hold ~= was.hold then redis.call('HSET', q.key, 'hold', q.hold) end
  if q.tat ~= was.tat then redis.call('HSET', q.key, 'tat', string.format('%.12f', q.tat)) end
  write_in_line(q.ref, q.in_line, was.in_line)
  write_in_line(q.ref .. '|s', q.suspects, was.suspects)
end

local function write_sums(key, sums)
  for what, by in pairs(sums) do
    if by ~= 0 then redis.call('HINCRBY', key, what, by) end
  end
end

local function close_queues()
  for _, q in ipairs(order) do close_queue(q) end
  write_sums('lq:others', others)
  write_sums('lq:totals', totals)
end
