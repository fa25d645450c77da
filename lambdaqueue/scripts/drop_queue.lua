-- include: clock names requests queues totals limits lanes endpoints line executions endings auditing
-- Forget a queue without jobs: its settings, its history, its counters.
--
-- KEYS  10 request
-- ARGV  1 queue ref, 2 now or '', 3 whom the audit names or '', 4 their address or ''
-- Returns  {'dropped' | 'busy' | 'absent' | 'more'}: 'more' asks for another call
-- Why   the entries go in steps, because a script must not hold Redis for long.
--       The first step is noted. It begins with a removing command: that goes on when Redis is full.

redis.call('ZREM', READY, '')
local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local q = open_queue(ARGV[1])
if not q.known then return {'absent'} end
if tonumber(redis.call('HGET', q.key, 'jobs') or 0) > 0 then return {'busy'} end
note_if_named(q.env, clock(ARGV[2]), ARGV[3], ARGV[4], 'queue.delete', q.name)
for _, kind in ipairs({'c', 'f'}) do
  endings().trim(q, kind, MOST_TRIMMED)
  if redis.call('XLEN', q.history .. kind) > 0 then return remember(KEYS[10], {'more'}) end
end
endpoints().forget_all(q)
ledger().forget(q.ref)
redis.call('DEL', q.key, q.history .. 'c', q.history .. 'f', q.latest)
redis.call('ZREM', q.queues, q.name)
redis.call('ZREM', WAKE, q.ref)
redis.call('ZREM', 'lq:deadlines', q.ref)
return remember(KEYS[10], {'dropped'})
