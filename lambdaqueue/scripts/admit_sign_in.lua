-- include: clock names
-- Count an attempt to sign in before its password is looked at, and say whether it may be.
--
-- KEYS  10 the attempts of an account's name from an address, 11 all of that address
-- ARGV  1 now or '', 2 and 3 how many of each are free, 4 ms of the first pause, 5 ms of the longest
-- Returns  {'go' | 'wait', ms}
-- Why   counted first, so that a hundred at once are not all looked at; a right password takes its
--       own back. Each one that is not free doubles the pause. One that is counted twice, because its
--       reply got lost, harms nobody. It begins with a removing command, because looking goes on
--       when Redis is full.

local FORGOTTEN = 3600  -- s after the last attempt

redis.call('ZREM', READY, '')
local now, pause = clock(ARGV[1]), 0
for i = 10, 11 do
  pause = math.max(pause, tonumber(fetch(KEYS[i], 'until')['until'] or 0) - now)
end
if pause > 0 then return {'wait', int(pause)} end

local function count(key, free)
  local over = redis.call('HINCRBY', key, 'count', 1) - free
  if over > 0 then
    local ms = math.min(ARGV[4] * 2 ^ math.min(over - 1, 30), ARGV[5])
    redis.call('HSET', key, 'until', int(now + ms))
  end
  redis.call('EXPIRE', key, FORGOTTEN)
end

count(KEYS[10], tonumber(ARGV[2]))
count(KEYS[11], tonumber(ARGV[3]))
return {'go', '0'}
