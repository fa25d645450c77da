-- include: clock names requests auditing
-- Change what an environment's owner may set.
--
-- KEYS  10 request, 11 the environment
-- ARGV  1 now or '', 2 its id, 3 actor's name, 4 its address or '', then field, value, …: an empty
--       value removes the field
-- Returns  {'changed' | 'absent'}

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local fields = fetch(KEYS[11], 'name', 'closed')
if not fields.name or fields.closed then return {'absent'} end

for i = 5, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[11], ARGV[i])
  else redis.call('HSET', KEYS[11], ARGV[i], ARGV[i + 1]) end
end
note(ARGV[2], clock(ARGV[1]), ARGV[3], ARGV[4], 'environment.update', fields.name)
return remember(KEYS[10], {'changed'})
