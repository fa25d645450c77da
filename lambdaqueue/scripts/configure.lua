-- include: clock names requests queues totals limits lanes endpoints line auditing
-- Change a queue's settings, or pause and resume it.
--
-- KEYS  10 request
-- ARGV  1 now or '', 2 queue ref, 3 settings as JSON it was made from or '*', 4 actor's name,
--       5 its address or '', 6 action, then field, value, … of the queue's hash; an empty value
--       removes the field
-- Returns  {'configured' | 'conflict' | 'closed'}: the environment has ended
-- Why   compare and set, so two changes at once don't undo each other. Lifting a hold admits.
--       It begins with a removing command: an operator pauses queues, and removes environments,
--       just when Redis is full.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local now, q = clock(ARGV[1]), open_queue(ARGV[2])
-- Of an environment that ends only a pause is let through: whoever ends it needs that.
if fetch(q.environment, 'closed').closed and not (q.known and ARGV[6] == 'queue.pause') then
  return {'closed'}
end
if ARGV[3] ~= '*' and q.settings ~= ARGV[3] then
  return {'conflict'}
end

redis.call('ZREM', READY, '')
found_queue(q, now)
for i = 7, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', q.key, ARGV[i])
  else redis.call('HSET', q.key, ARGV[i], ARGV[i + 1]) end
  if ARGV[i] == 'target' and q.target and q.target ~= ARGV[i + 1] and in_trouble(q) then
    endpoints().release(q, q.target, now)
  end
  if ARGV[i] == 'paused' then q.paused = ARGV[i + 1] == '1' end
end
set_limits(q, fetch(q.key, 'concurrency', 'rate', 'ordered', 'breaker', 'flow_concurrency', 'flow_rate',
  'flow_ordered'))
if not q.breaker and in_trouble(q) then endpoints().look_at_all(q) end
-- Lanes that were blocked may go now.
for i = 7, #ARGV, 2 do
  if ARGV[i]:sub(1, 5) == 'flow_' then
    redis.call('ZUNIONSTORE', q.flows, 1, q.flows, 'WEIGHTS', 0)
    break
  end
end
q.stirred = true
note(q.env, now, ARGV[4], ARGV[5], ARGV[6], q.name)
settle_queues(now)
return remember(KEYS[10], {'configured'})
