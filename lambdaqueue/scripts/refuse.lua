-- include: names
-- Count a bad token.
--
-- KEYS  10 the counter of its address
-- ARGV  1 s for which it is counted
-- Returns  {how many, s until they are forgotten}
-- Why   one that is counted twice, because its reply got lost, harms nobody.

redis.call('ZREM', READY, '')
local count = redis.call('INCR', KEYS[10])
if count == 1 then redis.call('EXPIRE', KEYS[10], ARGV[1]) end
return {count, redis.call('TTL', KEYS[10])}
