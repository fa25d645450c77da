-- include: clock names requests queues totals limits lanes endpoints line entries creating executions replacing describing
-- Store jobs of one queue, or replace those whose unique key is there: all of them or none.
--
-- KEYS  10 request, 11 idempotency key or ''
-- ARGV  1 now or '', 2 queue ref, 3 fingerprint or '', 4 s to remember the idempotency key,
--       then 8 for each job: key or '', 'keep' | 'replace', when ('' | '+<ms>' | '<Unix ms>'),
--       priority, max age in ms or '', 'target' if it has one of its own or '', packed spec,
--       its flow or ''
-- Returns  {'stored' | 'replayed', queue's settings or '', environment's retry or '', job…}, each
--       job a row as in describing.lua, of a new version only `version` and `due`
--       | {'mismatch'} | {'no_target', the job's index} | {'closed'}: the environment has ended
-- Why   ids are minted here, by Redis' clock: jobs due in the same millisecond keep push order.
--       A version that runs is never touched: its successor waits beside it as `next_*`.

local now, ref, fingerprint, ttl = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local FIRST, WIDTH = 5, 8

local first_answer = recall(KEYS[10]) or recall_for_client(KEYS[11], fingerprint)
if first_answer then return first_answer end

local q = open_queue(ref)

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
  for at = FIRST, #ARGV, WIDTH do
    if ARGV[at + 5] == '' then return {'no_target', tostring((at - FIRST) / WIDTH)} end
  end
end

local environment = fetch(q.environment, 'retry', 'closed')
if environment.closed then return {'closed'} end

local answer = {'stored', q.settings, environment.retry or ''}
found_queue(q, now)
for at = FIRST, #ARGV, WIDTH do
  answer[#answer + 1] = store(read_order(at))
end
settle_queues(now)
remember_for_client(KEYS[11], fingerprint, answer, ttl)
return remember(KEYS[10], answer)
