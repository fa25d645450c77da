-- include: clock names queues totals limits lanes endpoints line
-- Admit some queues, whether or not anything asked for it.
--
-- ARGV  1 now or '', then at most 50 queue refs
-- Returns  {jobs admitted}
-- Why   a net under the rule that whoever frees room admits: housekeeping calls it once a minute.

local now = clock(ARGV[1])
for i = 2, #ARGV do open_queue(ARGV[i]).stirred = true end
settle_queues(now)
return {tostring(moved_so_far)}
