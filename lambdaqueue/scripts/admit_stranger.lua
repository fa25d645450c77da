-- include: names accounts
-- Count an attempt to sign in from where the account hasn't signed in before, and say whether it may be.
--
-- KEYS  10 the guesses at the name, from all such addresses
-- ARGV  1 now or '', 2 the name, 3 the site that its address stands for, 4 how many are free
-- Returns  {'go' | 'wait', ms}
-- Why   who has many addresses is held up by no limit on one. Whoever knows the name can use these up,
--       so they don't count where the account was signed in to before: nobody is locked out there. A
--       name without an account has no such place, and is told the same elsewhere. Those that wait are
--       not counted, else waiting would never end. One that is counted twice, because its reply got
--       lost, harms nobody. It begins with a removing command, because looking goes on when Redis is
--       full.

local FORGOTTEN = 3600  -- s after the first attempt

redis.call('ZREM', READY, '')
local id = redis.call('HGET', ACCOUNTS, ARGV[2]) or ''
if redis.call('ZSCORE', sites_key(id), ARGV[3]) then return {'go', 0} end
if tonumber(redis.call('GET', KEYS[10]) or 0) >= tonumber(ARGV[4]) then
  return {'wait', redis.call('PTTL', KEYS[10])}
end
if redis.call('INCR', KEYS[10]) == 1 then redis.call('EXPIRE', KEYS[10], FORGOTTEN) end
return {'go', 0}
