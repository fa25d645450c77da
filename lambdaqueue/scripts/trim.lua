-- include: clock names queues executions endings
-- Forget the entries of one queue that are too old, or too many after a limit was lowered.
--
-- ARGV  1 queue ref, 2 Unix ms: older entries go, 3 'c' | 'f'
-- Returns  {entries trimmed}

local q, kind = open_queue(ARGV[1]), ARGV[3]
local stream = q.history .. kind
local old = #redis.call('XRANGE', stream, '-', '(' .. ARGV[2] .. '-0', 'COUNT', MOST_TRIMMED)
local limit = kind == 'c' and q.history_limit or q.failed_limit
local over = redis.call('XLEN', stream) - limit
local most = math.min(MOST_TRIMMED, math.max(old, over))
return {tostring(most > 0 and endings().trim(q, kind, most) or 0)}
