-- include: names
-- Begin the end of an environment: its tokens are of no use any more.
--
-- KEYS  10 the environment, 11 all tokens, 12 its tokens, 13 their last uses
-- Returns  {'closed' | 'absent'}
-- Why   nobody must push while its queues are emptied. Its name stays until all is gone, so that
--       whoever was interrupted can go on.

if not fetch(KEYS[10], 'name').name then return {'absent'} end
for _, id in ipairs(redis.call('HKEYS', KEYS[12])) do redis.call('HDEL', KEYS[11], id) end
redis.call('DEL', KEYS[12], KEYS[13])
redis.call('HSET', KEYS[10], 'closed', 1)
return {'closed'}
