-- How many of a queue's jobs may run: at once over all workers, and in a time. `admit` only looks at
-- what is left of both; `claim` looks again and takes it. A lane has the same limits.

local function running_in(q) return q.running + (q.counts.running or 0) end

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

-- What is left for jobs that are not in the line yet, and when more will be where the rate is why
-- there is nothing: nil where as many are in the line as may come at once, because whoever takes one
-- of these looks again.
local function allowance(q, now)
  local room = (q.concurrency or math.huge) - running_in(q) - q.in_line
  if not q.interval or room <= 0 then return room end
  local tokens = tokens_in(q, now) - q.in_line
  if tokens >= room then return room end
  return tokens, q.in_line < q.burst and token_at(q, q.in_line + 1, now) or nil
end

local function may_start(q, now)
  if q.concurrency and running_in(q) >= q.concurrency then return false end
  return not q.interval or tokens_in(q, now) >= 1
end

local function take_token(q, now)
  if q.interval then q.tat = math.max(q.tat, now) + q.interval end
end
