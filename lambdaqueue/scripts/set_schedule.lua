-- include: clock names requests auditing
-- Store a schedule, new or changed.
--
-- KEYS  10 request, 11 the schedule, 12 the environment's schedules, 13 their keys, 14 due schedules
-- ARGV  1 now or '', 2 environment, 3 its id, 4 its unique key or '', 5 the revision it was made from,
--       0 for a new one, 6 next run in ms or '', 7 whom the audit names or '', 8 their address or '',
--       9 action or '', then field, value, … of its hash; an empty value removes one
-- Returns  {'set' | 'conflict' | 'closed'}: the environment has ended
-- Why   compare and set: when it runs next was decided by what it was. A key belongs to one schedule.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local env, id, key = ARGV[2], ARGV[3], ARGV[4]
if fetch('lq:' .. env .. ':env', 'closed').closed then return {'closed'} end
local stored = fetch(KEYS[11], 'revision', 'key')
if (stored.revision or '0') ~= ARGV[5] then return {'conflict'} end
local holder = key ~= '' and redis.call('HGET', KEYS[13], key)
if holder and holder ~= id then return {'conflict'} end

if not stored.revision then
  redis.call('ZADD', KEYS[12], 0, id)
  if key ~= '' then redis.call('HSET', KEYS[13], key, id) end
  redis.call('HSET', KEYS[11], 'key', key)
  redis.call('SADD', 'lq:environments', env)
end
for i = 10, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[11], ARGV[i])
  else redis.call('HSET', KEYS[11], ARGV[i], ARGV[i + 1]) end
end
redis.call('HINCRBY', KEYS[11], 'revision', 1)
if ARGV[6] == '' then
  redis.call('HDEL', KEYS[11], 'next')
  redis.call('ZREM', KEYS[14], env .. ':' .. id)
else
  redis.call('HSET', KEYS[11], 'next', ARGV[6])
  redis.call('ZADD', KEYS[14], ARGV[6], env .. ':' .. id)
end
note_if_named(env, clock(ARGV[1]), ARGV[7], ARGV[8], ARGV[9], key ~= '' and key or id)
return remember(KEYS[10], {'set'})
