-- include: clock names requests queues totals limits lanes endpoints line entries creating executions replacing describing pushing auditing
-- Push ended jobs again: the first jobs of a replay, whose entry in the audit comes with them.
--
-- KEYS  10 request, 11 idempotency key or ''
-- ARGV  1 now or '', 2 queue ref, 3 fingerprint or '', 4 s to remember the idempotency key,
--       5 actor's name, 6 its address or '', 7 which jobs, then for each job as in push.lua
-- Returns  as push.lua
-- Why   a replay may take many steps, and one entry tells of it. A push must not pay for that.

local first_answer = recall(KEYS[10]) or recall_for_client(KEYS[11], ARGV[3])
if first_answer then return first_answer end
local now, q = clock(ARGV[1]), open_queue(ARGV[2])
local answer = push_orders(now, 8)
if answer[1] == 'stored' then
  note(q.env, now, ARGV[5], ARGV[6], 'queue.replay', q.name .. ' ' .. ARGV[7])
end
return answer
