-- The queues that this run touches: each is read once, its counters are written once, at `close`.

local SMALLEST_WINDOW, FIRST_WINDOW, LARGEST_WINDOW = 4, 16, 512
local touched, order = {}, {}
local before_close = {}  -- what other pieces still have to write

local function open_queue(ref)
  local q = touched[ref]
  if q then return q end
  local env, name = ref:match('^([^:]+):(.+)$')
  local prefix = 'lq:' .. env .. ':'
  local key = prefix .. 'queue:' .. name
  local stored = fetch(key, 'created', 'paused', 'levels', 'window',
    'history_limit', 'failed_limit', 'target', 'settings', 'secret', 'error')
  local in_line = redis.call('HMGET', IN_LINE, ref, ref .. '|s')
  q = {
    ref = ref, env = env, name = name, key = key,
    known = stored.created ~= nil,
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
    keys = prefix .. 'keys:' .. name,
    waiting = prefix .. 'waiting:' .. name .. ':',
    history = prefix .. 'history:' .. name .. ':',
    latest = prefix .. 'latest:' .. name,
    ended = prefix .. 'ended',
    queues = prefix .. 'queues',
    environment = prefix .. 'env',
    counts = {},
  }
  q.stored = { window = q.window, levels = q.levels, suspects = q.suspects, in_line = q.in_line,
    error = q.error }
  touched[ref] = q
  order[#order + 1] = q
  return q
end

-- Queues exist on demand: the first job or setting makes one.
local function found_queue(q, now)
  if q.known then return end
  q.known = true
  redis.call('HSET', q.key, 'created', now)
  redis.call('ZADD', q.queues, 0, q.name)
  redis.call('SADD', 'lq:environments', q.env)
end

local function count(q, what, by) q.counts[what] = (q.counts[what] or 0) + by end

-- Put a job among those that wait. The level is its priority, or 's' for a suspect.
local function wait(q, id, level, due)
  redis.call('ZADD', q.waiting .. level, due, id)
  if not q.levels:find(level, 1, true) then
    local all = {}
    for each in (q.levels .. level):gmatch('.') do all[#all + 1] = each end
    table.sort(all, function(a, b) return a > b end)
    q.levels = table.concat(all)
  end
  q.stirred = true
end

local function close_queues()
  for _, q in ipairs(order) do
    for what, by in pairs(q.counts) do
      if by ~= 0 then redis.call('HINCRBY', q.key, what, by) end
    end
    for _, what in ipairs({'window', 'levels', 'error'}) do
      if q[what] ~= q.stored[what] then redis.call('HSET', q.key, what, q[what]) end
    end
    for what, field in pairs({in_line = q.ref, suspects = q.ref .. '|s'}) do
      if q[what] ~= q.stored[what] then
        if q[what] > 0 then redis.call('HSET', IN_LINE, field, q[what])
        else redis.call('HDEL', IN_LINE, field) end
      end
    end
  end
end
