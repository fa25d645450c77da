-- include: names
-- Set how many entries an environment may have over all its queues.
--
-- KEYS  10 the environment
-- ARGV  1 the most
-- Returns  {'limited' | 'closed'}
-- Why   housekeeping tells every environment again and again; one that has ended stays so.

if fetch(KEYS[10], 'closed').closed then return {'closed'} end
redis.call('HSET', KEYS[10], 'history_max', ARGV[1])
return {'limited'}
