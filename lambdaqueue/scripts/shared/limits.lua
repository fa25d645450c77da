-- How many of a queue's jobs may run: at once over all workers, and in a time. `admit` only looks at
-- what is left of both; `claim` looks again and takes it.

local function running_in(q) return q.running + (q.counts.running or 0) end

-- How many more may be out. Of a half-open queue that is one attempt at a time; what its endpoint has
-- taken, and awaits a callback, is none any more.
local function places_in(q, now)
  if is_half_open(q, now) then return 1 - (running_in(q) - redis.call('ZCARD', q.awaiting)) end
  return (q.concurrency or math.huge) - running_in(q)
end

-- GCRA: `tat` is when the next attempt would be due if all came evenly. A token is there as long as
-- that lies less than a burst ahead. https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
local function tokens_in(q, now)
  local horizon = now + q.interval * q.burst
  -- After a clock went back, or the rate was raised.
  q.tat = math.min(q.tat, horizon)
  return math.floor((horizon - math.max(q.tat, now)) / q.interval + 0.000001)
end

-- Tokens that come every few ms are worth no look each; the burst keeps them meanwhile.
local COLLECT = 10  -- ms

local function token_at(q, wanted, now)
  local at = math.ceil(q.tat + (wanted - q.burst) * q.interval)
  return math.max(at, now + math.min(COLLECT, math.ceil(q.interval)))
end

-- nil where as many are in the line as may come at once: whoever takes one of these looks again.
local function next_token(q, now)
  return q.in_line < q.burst and token_at(q, q.in_line + 1, now) or nil
end

-- What is left for jobs that are not in the line yet, and when more will be where the rate is why
-- there is nothing.
local function allowance(q, now)
  local rest = rests_until(q, now)
  if rest then return 0, rest end
  local room, later = places_in(q, now) - q.in_line, nil
  if q.interval and room > 0 then
    local tokens = tokens_in(q, now) - q.in_line
    if tokens < room then room, later = tokens, next_token(q, now) end
  end
  return room, later
end

local function may_start(q, now)
  if rests_until(q, now) then return false end
  if places_in(q, now) < 1 then return false end
  return not q.interval or tokens_in(q, now) >= 1
end

local function take_token(q, now)
  if q.interval then q.tat = math.max(q.tat, now) + q.interval end
end
