-- A queue rests while its endpoint asks for it, and while too many of its attempts fail.
--
-- closed ──► open: of the window's attempts the ratio failed, at least LEAST of them
-- open ──► half-open: its time is over; one attempt at a time is a probe
-- half-open ──► closed: a probe succeeded;  ──► open: it failed, for twice as long

local LEAST = 10                            -- attempts that a judgement takes
local FIRST_REST, LONGEST_REST = 10000, 600000  -- ms
local LONGEST_ASKED = 60000                 -- ms for which one answer can make a queue rest

-- When a resting queue may go on; nil while it doesn't rest, nor after the clock went far back.
local function rests_until(q, now)
  if q.rest and q.rest > now and q.rest <= now + LONGEST_REST then return q.rest end
end

local function is_half_open(q, now)
  return q.breaker ~= nil and q.opened > 0 and not rests_until(q, now)
end

local function note_rest(q, till)
  q.rest = till
  redis.call('HSET', q.key, 'rest', int(till))
end

local function open_breaker(q, now)
  q.opened = q.opened + 1
  local rest = math.min(LONGEST_REST, FIRST_REST * 2 ^ (q.opened - 1))
  note_rest(q, now + rest)
  redis.call('HSET', q.key, 'opened', q.opened, 'judged', '')
end

local function close_breaker(q)
  q.opened = 0
  redis.call('HDEL', q.key, 'opened', 'rest')
  redis.call('HSET', q.key, 'judged', '')
end

-- `ok`: the endpoint did its part; what it thinks of one job (4xx) is no fault of its own.
local function judge_endpoint(q, ok, now)
  if not q.breaker then return end
  if q.opened > 0 then
    if rests_until(q, now) then return end
    if ok then return close_breaker(q) end
    return open_breaker(q, now)
  end
  local since, good, bad = (q.judged or ''):match('^(%d+) (%d+) (%d+)$')
  since, good, bad = tonumber(since or now), tonumber(good or 0), tonumber(bad or 0)
  if now - since > q.breaker.window or now < since then since, good, bad = now, 0, 0 end
  if ok then good = good + 1 else bad = bad + 1 end
  q.judged = int(since) .. ' ' .. good .. ' ' .. bad
  redis.call('HSET', q.key, 'judged', q.judged)
  if good + bad >= LEAST and bad / (good + bad) >= q.breaker.ratio then open_breaker(q, now) end
end

-- 429 or 503 with Retry-After: the other jobs would only hear the same.
local function rest_as_asked(q, asked, now)
  local till = now + math.min(asked, LONGEST_ASKED)
  if not q.rest or till > q.rest then note_rest(q, till) end
end
