-- include: clock names queues totals limits lanes endpoints line entries executions endings creating follow_ups awaiting outcomes
-- Commit the outcomes of attempts, each with everything that follows from it.
--
-- KEYS  10 worker, 11 held
-- ARGV  1 now or '', 2 worker, 3 settle number, 4 'rq' when RQ keeps its own books (a stock
--       worker) or '', then 11 for each: job id, token, kind ('completed' | 'started' | 'retry' |
--       'failed' | 'released' | 'unsent'), delay in ms or '', error or '', attempts as JSON, result
--       as JSON or '', body or '', max attempts, ms for which its endpoint asked to be left alone
--       or '', ms that the call took or '' when there was none
-- Returns  {'settled' | 'stale', …} in order
-- Why   only the holder of the current token may settle: whoever was declared dead comes too
--       late. A version that was replaced while it ran ends here and its successor takes over.
--       What was started, and what a callback came for already, goes on without a worker.
--       It begins with a removing command: its writes then pass when Redis is full.

redis.call('ZREM', READY, '')
local now, worker, number, stock = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4] == 'rq'
local FIRST, WIDTH = 5, 11
local TIMED_OUT = { timeout = true, connect = true, dns = true }

local me = fetch(KEYS[10], 'slots', 'suspect', 'settle', 'settled')
if me.settle == number then return cjson.decode(me.settled) end

local function read_outcome(at)
  return {
    id = ARGV[at], token = ARGV[at + 1], kind = ARGV[at + 2], delay = tonumber(ARGV[at + 3]),
    error = ARGV[at + 4], log = ARGV[at + 5], result = ARGV[at + 6], body = ARGV[at + 7],
    max = ARGV[at + 8], asked = tonumber(ARGV[at + 9]), took = tonumber(ARGV[at + 10]),
  }
end

-- Additive increase, multiplicative decrease: what an endpoint answers, its queue may hold ready.
local function adapt_window(q, outcome)
  if outcome.kind == 'completed' or outcome.kind == 'started' then
    q.successes = (q.successes or 0) + 1
  elseif TIMED_OUT[outcome.error:match('^%a+')] then q.timed_out = true end
end

-- What an attempt says of its endpoint, not of the job.
local TROUBLE = { timeout = true, connect = true, dns = true, tls = true, bad_response = true }

local function hear_endpoint(q, outcome)
  local kind, endpoint = outcome.kind, endpoints().open(q, outcome.id)
  local attempt = outcome.id .. ' ' .. outcome.token
  if q.breaker and (kind == 'retry' or kind == 'failed') then
    local class = outcome.error:match('^[%w_]+') or ''
    local fine = not TROUBLE[class] and not class:match('^http_5') and class ~= 'http_429'
    endpoints().judge(q, endpoint, attempt, fine, now)
  elseif q.breaker and (kind == 'completed' or kind == 'started') then
    endpoints().judge(q, endpoint, attempt, true, now)
  end
  if outcome.asked then endpoints().rest_as_asked(q, endpoint, outcome.asked, now) end
end

local function tally_attempt(q, job, outcome)
  if not outcome.took then return end
  local late = job.attempt == '1' and math.max(0, job.started - (job.first or job.due)) or nil
  counting().tally_ms(q, outcome.took, late)
end

-- A job goes on without its worker. Whatever became of the call: who calls back has been reached.
local function let_go(q, id, job, outcome)
  redis.call('HDEL', job_key(id), 'token', 'admission', 'suspect', 'losses')
  -- Where nothing was sent the attempt before goes on, whose callback took this claim back.
  if outcome.kind ~= 'unsent' and outcome.log ~= '' then redis.call('HSET', q.payloads, id .. '#', outcome.log) end
  if not job.awaiting then awaiting().hear(id, job, now) end
end

local seen, settled, started = {}, {}, {}

local function settle(outcome)
  if seen[outcome.token] then return 'stale' end
  seen[outcome.token] = true
  local job = fetch_job(outcome.id)
  if job.state ~= 'RUNNING' or job.token ~= outcome.token then return 'stale' end
  local q = open_queue(ref_of(outcome.id, job.queue))
  settled[#settled + 1] = outcome.id
  if not stock then
    local rq_id = outcome.id .. '_' .. job.admission
    started[#started + 1] = rq_id .. ':' .. outcome.token
    doom(rq_job_key(rq_id))
  end
  if me.suspect == outcome.id then redis.call('HDEL', KEYS[10], 'suspect') end
  q.stirred = true
  -- Without an agreement there is nothing to wait for.
  if outcome.kind == 'started' and not job.ttl then outcome.kind = 'completed' end
  adapt_window(q, outcome)
  tally_attempt(q, job, outcome)
  if q.breaker or outcome.asked then hear_endpoint(q, outcome) end
  if outcome.kind == 'started' or job.awaiting then
    let_go(q, outcome.id, job, outcome)
    return 'settled'
  end
  count_running(q, job, -1)
  -- What the queue's newest failure was, until something succeeds again.
  if outcome.kind == 'completed' then q.error = ''
  elseif outcome.error ~= '' then q.error = int(now) .. ' ' .. outcome.error end
  apply(q, job, outcome, now)
  return 'settled'
end

local answer = {}
for at = FIRST, #ARGV, WIDTH do answer[#answer + 1] = settle(read_outcome(at)) end
if #settled > 0 then redis.call('ZREM', KEYS[11], unpack(settled)) end
if #started > 0 then redis.call('ZREM', WIP, unpack(started)) end
for _, q in ipairs(order) do
  if q.timed_out then q.window = math.max(SMALLEST_WINDOW, math.floor(q.window / 2))
  elseif q.successes then q.window = math.min(LARGEST_WINDOW, q.window + q.successes) end
end
settle_queues(now)
-- A copy of an older call must not hide the newest answer.
if me.slots and tonumber(number) > tonumber(me.settle or 0) then
  redis.call('HSET', KEYS[10], 'settle', number, 'settled', cjson.encode(answer))
end
return answer
