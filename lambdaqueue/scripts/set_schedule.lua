-- include: clock names requests
-- Store a schedule, new or changed.
--
-- KEYS  10 request, 11 the schedule, 12 the environment's schedules, 13 their keys, 14 due schedules
-- ARGV  1 environment, 2 its id, 3 its unique key or '', 4 the revision it was made from, 0 for a new
--       one, 5 next run in ms or '', then field, value, … of its hash; an empty value removes one
-- Returns  {'set' | 'conflict' | 'closed'}: the environment has ended
-- Why   compare and set: when it runs next was decided by what it was. A key belongs to one schedule.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local env, id, key = ARGV[1], ARGV[2], ARGV[3]
if fetch('lq:' .. env .. ':env', 'closed').closed then return {'closed'} end
local stored = fetch(KEYS[11], 'revision', 'key')
if (stored.revision or '0') ~= ARGV[4] then return {'conflict'} end
local holder = key ~= '' and redis.call('HGET', KEYS[13], key)
if holder and holder ~= id then return {'conflict'} end

if not stored.revision then
  redis.call('ZADD', KEYS[12], 0, id)
  if key ~= '' then redis.call('HSET', KEYS[13], key, id) end
  redis.call('HSET', KEYS[11], 'key', key)
  redis.call('SADD', 'lq:environments', env)
end
for i = 6, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[11], ARGV[i])
  else redis.call('HSET', KEYS[11], ARGV[i], ARGV[i + 1]) end
end
redis.call('HINCRBY', KEYS[11], 'revision', 1)
if ARGV[5] == '' then
  redis.call('HDEL', KEYS[11], 'next')
  redis.call('ZREM', KEYS[14], env .. ':' .. id)
else
  redis.call('HSET', KEYS[11], 'next', ARGV[5])
  redis.call('ZADD', KEYS[14], ARGV[5], env .. ':' .. id)
end
return remember(KEYS[10], {'set'})
