-- include: clock names requests accounts
-- Note that the password of a session was given once more.
--
-- KEYS  10 request, 11 the session, 12 the attempts of the name from its address, 13 all of that address
-- ARGV  1 now or ''
-- Returns  {'proved' | 'absent'}
-- Why   it begins with a removing command, because looking goes on when Redis is full.

redis.call('ZREM', READY, '')
local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
if redis.call('EXISTS', KEYS[11]) == 0 then return {'absent'} end
redis.call('HSET', KEYS[11], 'proved', int(clock(ARGV[1])))
take_back(KEYS[12], KEYS[13])
return remember(KEYS[10], {'proved'})
