-- include: clock names requests auditing
-- Make an environment with its first secret.
--
-- KEYS  10 request, 11 names, 12 the environment
-- ARGV  1 now or '', 2 its id, 3 its name, 4 its secret, sealed, 5 actor's name
-- Returns  {'made' | 'taken'}
-- Why   every process asks for the first environment at its start: one of them makes it.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local now, id, name = clock(ARGV[1]), ARGV[2], ARGV[3]
if fetch(KEYS[12], 'name').name or fetch(KEYS[11], name)[name] then
  return {'taken'}
end

redis.call('HSET', KEYS[11], name, id)
redis.call('HSET', KEYS[12], 'name', name, 'created', int(now), 'secret', ARGV[4],
  'secret_since', int(now))
redis.call('SADD', 'lq:environments', id)
note(id, now, ARGV[5], '', 'environment.create', name)
return remember(KEYS[10], {'made'})
