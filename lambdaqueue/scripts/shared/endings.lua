-- How a job's version ends: an entry in the history of its queue, exactly trimmed.
-- What many endings of one run share is written once, when the run closes.

local MOST_TRIMMED = 100     -- entries in one run; a lowered limit is reached over several
local COUNTER = { COMPLETED = 'completed', FAILED = 'failed', CANCELLED = 'cancelled' }

local when_ended = {}  -- what other pieces do about an end: functions of q, id, job, ending, spec, now

local endings_made
local function endings()
  if endings_made then return endings_made end
  local HISTORY_MAX = '2000000'  -- entries of an environment, where nothing else is set
  local LEFT_ALONE = 100       -- entries that a queue keeps though its environment has too many

  local KIND = { COMPLETED = 'c', FAILED = 'f', CANCELLED = 'f' }

  -- Entries go, and with them what points at them.
  local function drop_entries(q, kind, entries)
    local stream, gone, ids, names, services = q.history .. kind, {}, {}, {}, {}
    for i, entry in ipairs(entries) do
      gone[i], names[i] = entry[1], kind .. entry[1]
      for at = 1, #entry[2], 2 do
        local field, value = entry[2][at], entry[2][at + 1]
        if field == 'id' then ids[i] = value
        elseif field == 'key' and redis.call('HGET', q.latest, value) == names[i] then
          redis.call('HDEL', q.latest, value)
        elseif field == 'service' then services[i] = value
        end
      end
    end
    if #gone == 0 then return 0 end
    local stale = {}
    for i, newest in ipairs(redis.call('HMGET', q.ended, unpack(ids))) do
      if newest == names[i] .. ' ' .. q.name then
        stale[#stale + 1] = ids[i]
        if services[i] then unlist_execution(q.env, services[i], ids[i]) end
      end
    end
    if #stale > 0 then
      redis.call('HDEL', q.ended, unpack(stale))
      redis.call('HDEL', retried_key(q.env), unpack(stale))
    end
    redis.call('XDEL', stream, unpack(gone))
    redis.call('HINCRBY', q.environment, 'entries', -#gone)
    return #gone
  end

  -- The oldest go.
  local function trim(q, kind, most)
    return drop_entries(q, kind, redis.call('XRANGE', q.history .. kind, '-', '+', 'COUNT', most))
  end

  local function endings_of(q)
    q.endings = q.endings or { index = {}, payloads = {}, c = 0, f = 0 }
    return q.endings
  end

  -- Options that are not given are left out: entries then have mostly the same fields, whose names
  -- a stream stores once. The payload of what failed is kept for replay.
  local function record(q, id, job, ending, now)
    local kind = KIND[ending.state]
    local spec = redis.call('HGET', q.payloads, id) or '\n'
    if kind == 'c' then spec = spec:sub(1, (spec:find('\n', 1, true))) end
    local log = ending.log or redis.call('HGET', q.payloads, id .. '#')
    local fields = { 'id', id, 'state', ending.state, 'version', job.version,
      'attempt', job.attempt or 0, 'due', job.due, 'ended', int(now), 'spec', spec }
    local at = #fields
    local function add(name, value)
      if value and value ~= '' then
        fields[at + 1], fields[at + 2] = name, value
        at = at + 2
      end
    end
    add('attempts', log)
    add('result', ending.result)
    add('body', ending.body)
    add('max', ending.max)
    add('key', job.key)
    add('error', ending.error)
    add('first', job.first)
    add('occurrence', job.occurrence)
    add('priority', job.priority)
    add('target', q.target)  -- what holds where the item has none of its own
    add('service', job.service)
    add('awaiting', job.awaiting)
    add('heard', job.heard)
    add('progress', job.progress)
    add('final', ending.final)
    add('retry_of', job.retry_of)
    add('tokens', tokens_of(job))
    local entry = kind .. redis.call('XADD', q.history .. kind, '*', unpack(fields))
    local endings = endings_of(q)
    endings.index[#endings.index + 1] = id
    endings.index[#endings.index + 1] = entry .. ' ' .. q.name
    endings[kind] = endings[kind] + 1
    if job.key then redis.call('HSET', q.latest, job.key, entry) end
    count(q, COUNTER[ending.state], 1)
    if ending.state == 'FAILED' then tally_error(q, 'failed:', ending.error) end
    for _, act in ipairs(when_ended) do act(q, id, job, ending, spec, now) end
  end

  local function forget(q, id, job)
    doom(job_key(id))
    release_hold(q, job, id)
    unstage(q, id, job)
    local payloads = endings_of(q).payloads
    payloads[#payloads + 1] = id
    payloads[#payloads + 1] = id .. '#'
    payloads[#payloads + 1] = id .. '+'
    if job.key and redis.call('HGET', q.keys, job.key) == id then
      redis.call('HDEL', q.keys, job.key)
    end
    await_no_more(q, id, job)
    if job.service then redis.call('SREM', unfinished_key(ref_of(id, job.service)), id) end
    count(q, 'jobs', -1)
  end

  local function finish(q, id, job, ending, now)
    record(q, id, job, ending, now)
    forget(q, id, job)
  end

  -- The version that replaced a running one takes over.
  local function promote(q, id, job)
    redis.call('HDEL', job_key(id), 'attempt', 'failures', 'first', 'losses', 'suspect', 'token',
      'started', 'admission', 'dropped', 'next_version', 'next_due', 'next_priority',
      'next_expires', 'expires', 'top', 'next_flow', 'flow')
    forget_execution(q, id, job)
    release_hold(q, job, id)
    count(q, 'versions', -1)
    redis.call('HSET', job_key(id), 'state', 'PENDING', 'version', job.next_version,
      'due', job.next_due, 'priority', job.next_priority)
    if job.next_expires then redis.call('HSET', job_key(id), 'expires', job.next_expires) end
    redis.call('HSET', q.payloads, id, redis.call('HGET', q.payloads, id .. '+'))
    redis.call('HDEL', q.payloads, id .. '+', id .. '#')
    if job.next_flow then redis.call('HSET', job_key(id), 'flow', job.next_flow) end
    wait(q, id, job.next_priority, job.next_due, job.next_flow)
  end

  local function trim_to_limits(q, added)
    if added.c + added.f == 0 then return end
    for kind, limit in pairs({ c = q.history_limit, f = q.failed_limit }) do
      if added[kind] > 0 then
        local over = redis.call('XLEN', q.history .. kind) - limit
        if over > 0 then trim(q, kind, math.min(over, math.max(MOST_TRIMMED, added[kind]))) end
      end
    end
    local most = redis.call('HGET', q.environment, 'history_max') or HISTORY_MAX
    local entries = redis.call('HINCRBY', q.environment, 'entries', added.c + added.f)
    local over = entries - tonumber(most)
    -- Housekeeping takes the oldest entries of all queues; until it comes, this one makes room.
    for kind in ('cf'):gmatch('.') do
      local spare = over > 0 and redis.call('XLEN', q.history .. kind) - LEFT_ALONE or 0
      if spare > 0 then over = over - trim(q, kind, math.min(over, spare, MOST_TRIMMED)) end
    end
  end

  before_admit[#before_admit + 1] = function()
    local ended = {}
    for _, q in ipairs(order) do
      local endings = q.endings
      if endings then
        for i = 1, #endings.index, 2 do ended[#ended + 1] = endings.index[i] end
        if #endings.payloads > 0 then redis.call('HDEL', q.payloads, unpack(endings.payloads)) end
        if #endings.index > 0 then redis.call('HSET', q.ended, unpack(endings.index)) end
        trim_to_limits(q, endings)
      end
    end
    -- Whoever waits for an end is told; it costs next to nothing while nobody does.
    if #ended > 0 then redis.call('PUBLISH', 'lq:ended', table.concat(ended, ' ')) end
  end

  endings_made = {
    record = record, finish = finish, forget = forget, promote = promote, trim = trim,
    drop_entries = drop_entries,
  }
  return endings_made
end
