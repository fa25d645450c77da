-- include: clock names requests auditing
-- Write into an environment's audit what changes nothing: that a secret was shown.
--
-- KEYS  10 request, 11 the environment
-- ARGV  1 now or '', 2 environment, 3 actor's name, 4 its address or '', 5 action, 6 object
-- Returns  {'noted' | 'absent'}
-- Why   whoever shows a secret comes here first: without an entry it is not shown. It begins with a
--       removing command, because reading goes on when Redis is full.

redis.call('ZREM', READY, '')
local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local environment = fetch(KEYS[11], 'name', 'closed')
if not environment.name or environment.closed then return {'absent'} end

note(ARGV[2], clock(ARGV[1]), ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return remember(KEYS[10], {'noted'})
