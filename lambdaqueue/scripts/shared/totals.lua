-- What has happened so far to each queue: counts that only grow, for metrics and charts. They are noted
-- down before the first of them moves in a piece of five minutes; what happened between two moments is
-- then the difference of two notes, and an idle queue costs nothing.

local function totals_key(ref) return (ref:gsub('^([^:]+):', 'lq:%1:totals:')) end

local function tally(q, what, by)
  q.tallies = q.tallies or {}
  q.tallies[what] = (q.tallies[what] or 0) + by
end

-- Errors begin with one of a few dozen classes; anything else would let the counts grow for ever.
local function tally_error(q, what, error)
  error = error or ''
  tally(q, what .. (error:match('^([%l_]+):') or error:match('^(http_%d%d%d):') or '?'), 1)
end

-- What few runs have a use for.
local ledger_made
local function ledger()
  if ledger_made then return ledger_made end
  local BUSIEST, NAMED, FRESH, OTHERS = 'lq:busiest', 'lq:named', 'lq:fresh', 'lq:others'
  local ENDED = { 'completed', 'failed', 'cancelled' }
  local COUNTED = { 'completed', 'failed', 'cancelled', 'versions', 'jobs', 'running', 'awaiting' }
  local HALF_LIFE = 21600000  -- ms after which an end counts half as much for who is busiest
  local KEPT = 93600          -- s that an idle queue's notes are kept
  local PER_HOUR, PER_DAY = 12, 300  -- pieces; a day and an hour

  local function pieces_key(ref) return (ref:gsub('^([^:]+):', 'lq:%1:pieces:')) end
  local function queue_key(ref) return (ref:gsub('^([^:]+):', 'lq:%1:queue:')) end

  -- All scores fade alike, so they are logarithms that need no writing while a queue is idle.
  local function rank(ref, ended, now)
    local score, old = now / HALF_LIFE + math.log(ended + 1) / math.log(2), redis.call('ZSCORE', BUSIEST, ref)
    if old then
      local high, low = math.max(score, tonumber(old)), math.min(score, tonumber(old))
      score = high + math.log(1 + 2 ^ (low - high)) / math.log(2)
    end
    redis.call('ZADD', BUSIEST, string.format('%.6f', score), ref)
  end

  -- Those of the last hour are kept, of the day before it the first of each hour.
  local function forget_old(key, piece)
    local kept, stale, hour = redis.call('HKEYS', key), {}, nil
    table.sort(kept, function(a, b) return tonumber(a) < tonumber(b) end)
    for _, each in ipairs(kept) do
      local ago, its_hour = piece - tonumber(each), math.floor(tonumber(each) / PER_HOUR)
      if ago > PER_DAY or ago > PER_HOUR and its_hour == hour then stale[#stale + 1] = each
      else hour = its_hour end
    end
    if #stale > 0 then redis.call('HDEL', key, unpack(stale)) end
  end

  local function begin_piece(q, piece, now)
    local key, ended = pieces_key(q.ref), redis.call('HMGET', q.key, unpack(ENDED))
    local note, sum = redis.call('HGETALL', totals_key(q.ref)), 0
    local last = ' ' .. (redis.call('HGET', key, int(q.piece)) or '')
    for i, what in ipairs(ENDED) do
      note[#note + 1], note[#note + 2] = what, ended[i] or '0'
      sum = sum + tonumber(ended[i] or 0) - tonumber(last:match(' ' .. what .. ' (%d+)') or 0)
    end
    redis.call('HSET', key, int(piece), table.concat(note, ' '))
    redis.call('EXPIRE', key, KEPT)
    redis.call('HSET', q.key, 'piece', int(piece))
    forget_old(key, piece)
    rank(q.ref, sum, now)
  end

  -- All that a queue has counted comes to the others' counts.
  local function bequeath(ref)
    local counts = redis.call('HGETALL', totals_key(ref))
    local values = redis.call('HMGET', queue_key(ref), unpack(COUNTED))
    for i, what in ipairs(COUNTED) do counts[#counts + 1], counts[#counts + 2] = what, values[i] or '0' end
    for i = 1, #counts, 2 do
      if counts[i + 1] ~= '0' then redis.call('HINCRBY', OTHERS, counts[i], counts[i + 1]) end
    end
  end

  local function forget(ref)
    if redis.call('SREM', FRESH, ref) == 1 then bequeath(ref) end
    redis.call('SREM', NAMED, ref)
    redis.call('ZREM', BUSIEST, ref)
    redis.call('DEL', totals_key(ref), pieces_key(ref))
  end

  ledger_made = { BUSIEST = BUSIEST, NAMED = NAMED, FRESH = FRESH, OTHERS = OTHERS, queue_key = queue_key,
    begin_piece = begin_piece, bequeath = bequeath, forget = forget }
  return ledger_made
end

local counting_made
local function counting()
  if counting_made then return counting_made end
  local PIECE = 300000  -- ms that one is long

  -- histogram.py knows them. Not a table: most runs look for one bound or two.
  local function bound_of(ms)
    return ms <= 5 and 5 or ms <= 10 and 10 or ms <= 25 and 25 or ms <= 50 and 50
      or ms <= 100 and 100 or ms <= 250 and 250 or ms <= 500 and 500 or ms <= 1000 and 1000
      or ms <= 2500 and 2500 or ms <= 5000 and 5000 or ms <= 10000 and 10000
      or ms <= 30000 and 30000 or ms <= 60000 and 60000 or ms <= 300000 and 300000
      or ms <= 900000 and 900000 or ms <= 3600000 and 3600000 or 'inf'
  end

  -- What an attempt took, and how late it began if it's a job's first: ms, else nil.
  local function tally_ms(q, took, late)
    if not q.took then q.took, q.late, q.took_ms, q.late_ms = {}, {}, 0, 0 end
    local counted, bound = q.took, bound_of(took)
    counted[bound] = (counted[bound] or 0) + 1
    q.took_ms = q.took_ms + took
    if not late then return end
    counted, bound = q.late, bound_of(late)
    counted[bound] = (counted[bound] or 0) + 1
    q.late_ms = q.late_ms + late
  end

  -- Before the other counters of the queue are written.
  local function write(q, now)
    local piece = math.floor(now / PIECE)
    if piece > q.piece then ledger().begin_piece(q, piece, now) end
    local key = totals_key(q.ref)
    for what, by in pairs(q.tallies or {}) do add_to(q, key, what, by) end
    if not q.took then return end
    for bound, by in pairs(q.took) do add_to(q, key, 'took:' .. bound, by) end
    for bound, by in pairs(q.late) do add_to(q, key, 'late:' .. bound, by) end
    add_to(q, key, 'took:sum', q.took_ms)
    add_to(q, key, 'late:sum', q.late_ms)
  end

  counting_made = { tally_ms = tally_ms, write = write }
  return counting_made
end

local function write_counts(now)
  for _, q in ipairs(order) do
    local counts = q.counts
    if q.tallies or q.took or counts.completed or counts.failed or counts.cancelled then
      counting().write(q, now)
    end
  end
end
