-- include: clock names requests queues executions endings auditing
-- Forget entries of a queue's history.
--
-- KEYS  10 request
-- ARGV  1 now or '', 2 queue ref, 3 state of all of them, 4 whom the audit names or '', 5 their address
--       or '', then names of entries: 'c' or 'f' and a stream id, at most 500
-- Returns  {entries forgotten}
-- Why   as in purge.lua.

redis.call('ZREM', READY, '')
local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local q, forgotten = open_queue(ARGV[2]), 0
for i = 6, #ARGV do
  local kind, name = ARGV[i]:sub(1, 1), ARGV[i]:sub(2)
  local found = redis.call('XRANGE', q.history .. kind, name, name)
  if #found > 0 then forgotten = forgotten + endings().drop_entries(q, kind, found) end
end
if forgotten > 0 then
  note_if_named(q.env, clock(ARGV[1]), ARGV[4], ARGV[5], 'queue.purge', q.name .. ' ' .. ARGV[3])
end
return remember(KEYS[10], {tostring(forgotten)})
