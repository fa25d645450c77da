-- include: clock names requests auditing
-- Give an environment a new secret; the one before holds on for a while.
--
-- KEYS  10 request, 11 the environment
-- ARGV  1 now or '', 2 its id, 3 the new secret, sealed, 4 ms for which the old one still counts,
--       5 actor's name, 6 its address or ''
-- Returns  {'rotated' | 'absent' | 'rotating'}: an older one still counts, and would be lost
-- Why   whoever repeats a rotation, because its answer got lost, must not lock out endpoints that
--       know the first secret only. Without an overlap they are to be locked out. It begins with a
--       removing command: a secret that leaked can be changed when Redis is full.

redis.call('ZREM', READY, '')
local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local now, overlap = clock(ARGV[1]), tonumber(ARGV[4])
local environment = fetch(KEYS[11], 'name', 'closed', 'secret', 'previous_until')
if not environment.name or environment.closed then return {'absent'} end
if overlap > 0 and tonumber(environment.previous_until or 0) > now then return {'rotating'} end

if overlap > 0 then
  redis.call('HSET', KEYS[11], 'previous', environment.secret, 'previous_until',
    int(now + overlap))
else
  redis.call('HDEL', KEYS[11], 'previous', 'previous_until')
end
redis.call('HSET', KEYS[11], 'secret', ARGV[3], 'secret_since', int(now))
note(ARGV[2], now, ARGV[5], ARGV[6], 'secret.rotate', environment.name)
return remember(KEYS[10], {'rotated'})
