-- include: clock names queues totals limits lanes endpoints line executions endings auditing
-- Forget a queue without jobs: its settings, its history, its counters.
--
-- ARGV  1 queue ref, 2 now or '', 3 actor's name, 4 its address or ''
-- Returns  {'dropped' | 'busy' | 'absent' | 'more'}: 'more' asks for another call
-- Why   the entries go in steps, because a script must not hold Redis for long.

local q = open_queue(ARGV[1])
if not q.known then return {'absent'} end
if tonumber(redis.call('HGET', q.key, 'jobs') or 0) > 0 then return {'busy'} end
for _, kind in ipairs({'c', 'f'}) do
  endings().trim(q, kind, MOST_TRIMMED)
  if redis.call('XLEN', q.history .. kind) > 0 then return {'more'} end
end
endpoints().forget_all(q)
ledger().forget(q.ref)
redis.call('DEL', q.key, q.history .. 'c', q.history .. 'f', q.latest)
redis.call('ZREM', q.queues, q.name)
redis.call('ZREM', WAKE, q.ref)
redis.call('ZREM', 'lq:deadlines', q.ref)
note(q.env, clock(ARGV[2]), ARGV[3], ARGV[4], 'queue.delete', q.name)
return {'dropped'}
