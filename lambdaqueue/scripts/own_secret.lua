-- include: names
-- Give a queue a secret of its own, unless it has one.
--
-- KEYS  10 the queue
-- ARGV  1 a new secret, sealed
-- Returns  {the queue's secret, sealed} | {}
-- Why   whoever needs it first makes it: an attempt, or the one who asks for it. It begins with a
--       removing command, so deliveries go on when Redis is full.

redis.call('ZREM', READY, '')
local stored = fetch(KEYS[10], 'created', 'secret')
if not stored.created then return {} end
if stored.secret then return {stored.secret} end
redis.call('HSET', KEYS[10], 'secret', ARGV[1])
return {ARGV[1]}
