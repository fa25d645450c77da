-- include: clock names queues executions endings
-- Forget entries of a queue's history.
--
-- ARGV  1 queue ref, then names of entries: 'c' or 'f' and a stream id, at most 500
-- Returns  {entries forgotten}

local q, forgotten = open_queue(ARGV[1]), 0
for i = 2, #ARGV do
  local kind, name = ARGV[i]:sub(1, 1), ARGV[i]:sub(2)
  local found = redis.call('XRANGE', q.history .. kind, name, name)
  if #found > 0 then forgotten = forgotten + endings().drop_entries(q, kind, found) end
end
return {tostring(forgotten)}
