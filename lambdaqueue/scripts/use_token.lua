-- include: names
-- Note when a token was used.
--
-- KEYS  10 the environment's tokens, 11 their last uses
-- ARGV  1 token id, 2 Unix ms
-- Returns  {'noted' | 'absent'}
-- Why   it begins with a removing command, so reading goes on when Redis is full.

redis.call('ZREM', READY, '')
if redis.call('HEXISTS', KEYS[10], ARGV[1]) == 0 then return {'absent'} end
redis.call('HSET', KEYS[11], ARGV[1], ARGV[2])
return {'noted'}
