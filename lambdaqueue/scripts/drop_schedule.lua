-- include: names requests
-- Forget a schedule; the jobs that it pushed go on.
--
-- KEYS  10 request, 11 the schedule, 12 the environment's schedules, 13 their keys, 14 due schedules,
--       15 its runs, 16 what its last success has left
-- ARGV  1 environment, 2 its id
-- Returns  {'dropped' | 'absent'}

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local stored = fetch(KEYS[11], 'revision', 'key')
-- Also where its hash is gone: nothing must go on naming it.
redis.call('ZREM', KEYS[12], ARGV[2])
redis.call('ZREM', KEYS[14], ARGV[1] .. ':' .. ARGV[2])
if not stored.revision then return {'absent'} end

if stored.key ~= '' and redis.call('HGET', KEYS[13], stored.key) == ARGV[2] then
  redis.call('HDEL', KEYS[13], stored.key)
end
redis.call('DEL', KEYS[11], KEYS[15], KEYS[16])
return remember(KEYS[10], {'dropped'})
