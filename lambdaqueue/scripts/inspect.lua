-- include: names
-- Compare what one queue's counters say with what its indexes hold.
--
-- ARGV  1 queue ref
-- Returns  {finding, …}, each a sentence
-- Why   cheap enough to run over every queue; the model test looks at every single job.

local MOST_LANES = 10000  -- that are counted: a script must not hold Redis for long
local env, name = ARGV[1]:match('^([^:]+):(.+)$')
local prefix = 'lq:' .. env .. ':'
local stored = fetch(prefix .. 'queue:' .. name, 'jobs', 'running', 'levels', 'paused', 'backlog',
  'troubled', 'awaiting')
local jobs, running = tonumber(stored.jobs or 0), tonumber(stored.running or 0)
local findings = {}
local function report(...) findings[#findings + 1] = string.format(...) end

local waiting, backlog = 0, tonumber(stored.backlog or 0)
if redis.call('ZCARD', prefix .. 'flows:' .. name) <= MOST_LANES then
  backlog = 0
  for _, flow in ipairs(redis.call('ZRANGE', prefix .. 'flows:' .. name, 0, -1)) do
    backlog = backlog + redis.call('ZCARD', prefix .. 'backlog:' .. name .. ':' .. flow)
  end
  if backlog ~= tonumber(stored.backlog or 0) then
    report('%d wait in lanes, but %s are counted', backlog, stored.backlog or '0')
  end
end
for level in ('s9876543210'):gmatch('.') do
  local key = prefix .. 'waiting:' .. name .. ':' .. level
  local held = redis.call('ZCARD', key)
  waiting = waiting + held
  if held > 0 and not (stored.levels or ''):find(level, 1, true) then
    report('level %s holds %d jobs but is not listed', level, held)
  end
end
local resting, aside = redis.call('ZRANGE', prefix .. 'resting:' .. name, 0, MOST_LANES - 1), 0
if #resting < MOST_LANES and #resting ~= tonumber(stored.troubled or 0) then
  report('%d endpoints are in trouble, but %s are counted', #resting, stored.troubled or '0')
end
for _, digest in ipairs(resting) do
  local jobs_of_it = redis.call('ZCARD', prefix .. 'aside:' .. name .. ':' .. digest)
  aside = aside + jobs_of_it
  if jobs_of_it > 0 and redis.call('ZSCORE', prefix .. 'resting:' .. name, digest) == 'inf' then
    report('%d jobs are set aside, and nothing will bring them back', jobs_of_it)
  end
end
local awaiting = redis.call('ZCARD', prefix .. 'awaiting:' .. name)
if awaiting ~= tonumber(stored.awaiting or 0) then
  report('%d await a callback, but %s are counted', awaiting, stored.awaiting or '0')
end
if awaiting > running then report('%d await a callback, but only %d run', awaiting, running) end
if awaiting > 0 and not redis.call('ZSCORE', 'lq:deadlines', ARGV[1]) then
  report('%d await a callback, and nothing watches their deadlines', awaiting)
end
local in_line = tonumber(redis.call('HGET', IN_LINE, ARGV[1]) or 0)
waiting = waiting + backlog + aside
-- Tombstones are in the line too, so it may hold more entries than jobs, never fewer.
if waiting + running > jobs then
  report('%d wait and %d run, but there are %d jobs', waiting, running, jobs)
end
if waiting + running + in_line < jobs then
  report('%d jobs, but only %d wait, %d run and %d are in line', jobs, waiting, running, in_line)
end
if waiting > 0 and in_line == 0 and running == 0 and stored.paused ~= '1'
  and not redis.call('ZSCORE', WAKE, ARGV[1]) then
  report('%d jobs wait, and nothing will wake them', waiting)
end
local packed = 0
if redis.call('EXISTS', prefix .. 'payloads:' .. name) == 1 then
  packed = redis.call('HLEN', prefix .. 'payloads:' .. name)
end
if packed < jobs then report('%d jobs, but %d payloads', jobs, packed) end
if redis.call('HLEN', prefix .. 'keys:' .. name) > jobs then
  report('more unique keys than the %d jobs', jobs)
end
return findings
