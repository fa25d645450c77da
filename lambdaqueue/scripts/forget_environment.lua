-- include: names accounts
-- Forget an environment that was closed and emptied, and the roles that accounts have in it.
--
-- KEYS  10 names, 11 the environment
-- ARGV  1 its id, 2 its name
-- Returns  {'forgotten'}
-- Why   last, because as long as its name is there its end can be gone on with. A request that was
--       let in before may still be on its way: for a day it finds the environment closed.

local LONGEST_REQUEST = 86400  -- s

redis.call('DEL', KEYS[11])
redis.call('HSET', KEYS[11], 'closed', 1)
redis.call('EXPIRE', KEYS[11], LONGEST_REQUEST)
redis.call('SREM', 'lq:environments', ARGV[1])
for _, id in ipairs(redis.call('HVALS', ACCOUNTS)) do
  redis.call('HDEL', account_key(id), 'role:' .. ARGV[1])
end
if fetch(KEYS[10], ARGV[2])[ARGV[2]] == ARGV[1] then redis.call('HDEL', KEYS[10], ARGV[2]) end
return {'forgotten'}
