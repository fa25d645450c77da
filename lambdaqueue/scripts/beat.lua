-- include: names
-- A worker says that it lives, and renews the leases of what it still works on.
--
-- KEYS  10 worker, 11 held
-- ARGV  1 worker, 2 'new' for the first beat or '', 3 slots, 4 lease in ms, then the ids of jobs
-- Returns  {'alive' | 'dead'}
-- Why   whoever was declared dead stays dead: its jobs belong to others.
--       It begins with a removing command: its writes then pass when Redis is full.

redis.call('ZREM', READY, '')
local worker, lease = ARGV[1], tonumber(ARGV[4])
local lease_now = tonumber(redis.call('HGET', SEQ, 'lease_ms') or 0)

if ARGV[2] == 'new' and redis.call('HEXISTS', KEYS[10], 'slots') == 0 then
  redis.call('HSET', KEYS[10], 'slots', ARGV[3])
  redis.call('ZADD', WORKERS, lease_now, worker)
  redis.call('HINCRBY', SEQ, 'slots', ARGV[3])
  return {'alive'}
end
if not redis.call('ZSCORE', WORKERS, worker) or redis.call('HEXISTS', KEYS[10], 'dead') == 1 then
  return {'dead'}
end
redis.call('ZADD', WORKERS, lease_now, worker)
for i = 5, #ARGV do redis.call('ZADD', KEYS[11], 'XX', lease_now + lease, ARGV[i]) end
return {'alive'}
