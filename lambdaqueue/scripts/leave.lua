-- include: names
-- A worker that has handed back everything goes.
--
-- KEYS  10 worker, 11 held
-- ARGV  1 worker
-- Returns  {'gone' | 'holding'}
-- Why   one that still holds jobs must be declared dead instead, or they would be stranded.

if redis.call('EXISTS', KEYS[11]) == 1 then return {'holding'} end
if redis.call('ZREM', WORKERS, ARGV[1]) == 1 then
  redis.call('HINCRBY', SEQ, 'slots', -tonumber(redis.call('HGET', KEYS[10], 'slots') or 0))
  redis.call('DEL', KEYS[10])
end
return {'gone'}
