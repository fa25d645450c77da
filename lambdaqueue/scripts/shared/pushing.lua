-- Jobs are stored here, or replace those whose unique key is there: all of them or none.

local ORDER_WIDTH = 8  -- arguments for each job

-- KEYS and ARGV up to 4 as in push.lua; the first job's arguments begin at `first`.
local function push_orders(now, first)
  local q = open_queue(ARGV[2])

  local function read_order(at)
    local key, when = ARGV[at], ARGV[at + 2]
    local due = when == '' and now or when:sub(1, 1) == '+' and now + tonumber(when:sub(2))
      or math.max(now, tonumber(when))
    return {
      key = key ~= '' and key or nil, keep = ARGV[at + 1] == 'keep', due = due,
      priority = ARGV[at + 3], spec = ARGV[at + 6],
      flow = ARGV[at + 7] ~= '' and ARGV[at + 7] or nil,
      expires = ARGV[at + 4] ~= '' and due + tonumber(ARGV[at + 4]) or nil,
    }
  end

  local function store(want)
    local id = want.key and redis.call('HGET', q.keys, want.key)
    if not id then
      id = create(q, want, now)
      return {'created', id, '', '', 'version', '1', 'due', int(want.due)}
    end
    local job = fetch_job(id)
    local unprocessed = not job.dropped or job.next_version
    if want.keep and unprocessed then return describe(q, id, 'kept') end
    local place, version = supersede(q, id, job, want, now)
    if place == 'pending' then return describe(q, id, place) end
    return {place, id, '', '', 'version', version, 'due', int(want.due)}
  end

  if not q.target then
    for at = first, #ARGV, ORDER_WIDTH do
      if ARGV[at + 5] == '' then return {'no_target', tostring((at - first) / ORDER_WIDTH)} end
    end
  end

  local environment = fetch(q.environment, 'retry', 'closed')
  if environment.closed then return {'closed'} end

  local answer = {'stored', q.settings, environment.retry or ''}
  found_queue(q, now)
  for at = first, #ARGV, ORDER_WIDTH do
    answer[#answer + 1] = store(read_order(at))
  end
  settle_queues(now)
  remember_for_client(KEYS[11], ARGV[3], answer, ARGV[4])
  return remember(KEYS[10], answer)
end
