-- include: clock names requests queues totals limits lanes endpoints line creating
-- Tell the operator that something is wrong, or that it's over: each once.
--
-- KEYS  10 request, 11 alerts
-- ARGV  1 now or '', 2 what is wrong, 3 'on' | 'over', 4 queue ref, 5 packed spec of the job that tells it
-- Returns  {'told', id} | {'known'}
-- Why   any number of schedulers look. What is told and that it was told is one step.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local now, what = clock(ARGV[1]), ARGV[2]
local is_known = redis.call('HEXISTS', KEYS[11], what) == 1
if is_known == (ARGV[3] == 'on') then return {'known'} end

if is_known then redis.call('HDEL', KEYS[11], what) else redis.call('HSET', KEYS[11], what, now) end
local q = open_queue(ARGV[4])
found_queue(q, now)
local id = create(q, { due = now, priority = '9', spec = ARGV[5] }, now)
settle_queues(now)
return remember(KEYS[10], {'told', id})
