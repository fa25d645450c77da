-- include: clock names queues entries awaiting
-- Read the executions whose time is over.
--
-- ARGV  1 now or '', 2 the most to read
-- Returns  {now in ms, ms of the next deadline or '', row…}, each a row as in describing.lua, with why
--       its time is over for a place, and of `spec` the options alone
-- Why   the cost grows with those that are due, never with those that run. Silence is measured by
--       the lease clock: whose time was prolonged by an outage gets a new deadline here.

local MOST_QUEUES = 50
local MOST_BYTES = 1048576  -- of payloads that are looked into

redis.call('ZREM', READY, '')  -- a removing command first: the rest passes when Redis is full
local now, left = clock(ARGV[1]), tonumber(ARGV[2])
local rows, bytes = {}, 0

local function read(ref, id)
  left = left - 1
  local job = fetch_job(id)
  if not job.awaiting then return redis.call('ZREM', awaiting_key(ref), id) end
  local why = awaiting().overdue(job, now)
  if not why then return awaiting().watch(id, job, now) end
  local q = open_queue(ref)
  local stored = redis.call('HMGET', q.payloads, id, id .. '#')
  bytes = bytes + #(stored[1] or '')
  if bytes > MOST_BYTES then left = 0 end
  local spec = stored[1] or '\n'
  local row = { why, id, q.settings, redis.call('HGET', q.environment, 'retry') or '',
    'spec', spec:sub(1, (spec:find('\n', 1, true))), 'log', stored[2] or '' }
  for field, value in pairs(job) do
    row[#row + 1], row[#row + 2] = field, value
  end
  rows[#rows + 1] = row
end

for _, ref in ipairs(redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now, 'LIMIT', 0, MOST_QUEUES)) do
  if left <= 0 then break end
  local due = redis.call('ZRANGEBYSCORE', awaiting_key(ref), '-inf', now, 'LIMIT', 0, left)
  for _, id in ipairs(due) do
    if left > 0 then read(ref, id) end
  end
  local soonest = redis.call('ZRANGE', awaiting_key(ref), 0, 0, 'WITHSCORES')
  if soonest[2] then redis.call('ZADD', DEADLINES, soonest[2], ref)
  else redis.call('ZREM', DEADLINES, ref) end
end
local head = redis.call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')
return {int(now), head[2] or '', unpack(rows)}
