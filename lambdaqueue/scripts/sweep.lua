-- include: clock names queues totals limits lanes endpoints line entries
-- Put jobs back to waiting whose entry has vanished from the line.
--
-- ARGV  1 now or ''
-- Returns  {entries swept}
-- Why   a stock worker may die between popping an entry and claiming it, and an operator may
--       empty RQ's list. Entries are in the order of their numbers: what is older than the head
--       of the line, and was so at the last sweep already, is nobody's.

local MOST_SWEPT = 500
redis.call('ZREM', READY, '')
local now = clock(ARGV[1])
local mark = tonumber(redis.call('HGET', SEQ, 'mark') or 0)

local function sweep(rq_id)
  local id, admission = parse_entry(rq_id)
  local job = fetch_job(id)
  local live = is_ready(job) and job.admission == admission
  local q = leave_line(rq_id, id, job, live)
  redis.call('DEL', rq_job_key(rq_id))
  if live then put_back(q, id, job) end
  return q ~= nil
end

local function queue_of(rq_id)
  local entry = fetch(rq_job_key(rq_id), 'queue', 'level')
  if entry.queue then return entry.queue, entry.level end
  local id, admission = parse_entry(rq_id)
  local job = fetch_job(id)
  if not is_ready(job) or job.admission ~= admission then return nil end
  return ref_of(id, job.queue), level_of(job)
end

-- RQ may have deleted the job of a tombstone, which alone knew its queue. A count that was left
-- over would shut that queue a little more each time.
local function recount()
  local was = redis.call('HKEYS', IN_LINE)
  redis.call('DEL', IN_LINE)
  for _, rq_id in ipairs(redis.call('ZRANGE', READY, 0, -1)) do
    local ref, level = queue_of(rq_id)
    if ref then redis.call('HINCRBY', IN_LINE, ref, 1) end
    if level == 's' then redis.call('HINCRBY', IN_LINE, ref .. '|s', 1) end
  end
  for _, field in ipairs(was) do
    if field:sub(-2) ~= '|s' then
      local q = open_queue(field)
      q.in_line = tonumber(redis.call('HGET', IN_LINE, field) or 0)
      q.suspects = tonumber(redis.call('HGET', IN_LINE, field .. '|s') or 0)
      q.stored.in_line, q.stored.suspects = q.in_line, q.suspects
      q.stirred = true
    end
  end
end

local stranded = redis.call('ZRANGEBYSCORE', READY, '-inf', '(' .. int(mark),
  'LIMIT', 0, MOST_SWEPT)
local all_known = true
for _, rq_id in ipairs(stranded) do all_known = sweep(rq_id) and all_known end
if #stranded > 0 then redis.call('ZREM', READY, unpack(stranded)) end
if not all_known or redis.call('EXISTS', READY) == 0 then recount() end
local head = redis.call('LINDEX', LINE, 0)
local number = head and select(2, parse_entry(head))
redis.call('HSET', SEQ, 'mark', number
  or int(tonumber(redis.call('HGET', SEQ, 'admission') or 0) + 1))
settle_queues(now)
return {tostring(#stranded)}
