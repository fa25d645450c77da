-- include: clock names requests auditing
-- Forget a schedule; the jobs that it pushed go on.
--
-- KEYS  10 request, 11 the schedule, 12 the environment's schedules, 13 their keys, 14 due schedules,
--       15 its runs, 16 what its last success has left
-- ARGV  1 now or '', 2 environment, 3 its id, 4 whom the audit names or '', 5 their address or ''
-- Returns  {'dropped' | 'absent'}

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local stored = fetch(KEYS[11], 'revision', 'key')
-- Also where its hash is gone: nothing must go on naming it.
redis.call('ZREM', KEYS[12], ARGV[3])
redis.call('ZREM', KEYS[14], ARGV[2] .. ':' .. ARGV[3])
if not stored.revision then return {'absent'} end

if stored.key ~= '' and redis.call('HGET', KEYS[13], stored.key) == ARGV[3] then
  redis.call('HDEL', KEYS[13], stored.key)
end
redis.call('DEL', KEYS[11], KEYS[15], KEYS[16])
local shown_as = (stored.key or '') ~= '' and stored.key or ARGV[3]
note_if_named(ARGV[2], clock(ARGV[1]), ARGV[4], ARGV[5], 'schedule.remove', shown_as)
return remember(KEYS[10], {'dropped'})
