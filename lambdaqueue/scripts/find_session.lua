-- include: clock names accounts
-- Read a session and its account, if it's still good.
--
-- KEYS  10 the session
-- ARGV  1 now or '', 2 ms for which it may be idle, 3 ms for which it may last, 4 whether this is use
--       of it: 0 or 1
-- Returns  {now, csrf, created, proved, account's id, its fields, …} | {}
-- Why   roles are read each time, so that taking one away counts at once. It begins with a removing
--       command, because looking goes on when Redis is full.

local MINUTE = 60000

redis.call('ZREM', READY, '')
local session = fetch_all(KEYS[10])
if not session.account then return {} end
local now = clock(ARGV[1])
local idle, left = now - session.seen, session.created + ARGV[3] - now
local account = redis.call('HGETALL', account_key(session.account))
local epoch
for i = 1, #account, 2 do
  if account[i] == 'epoch' then epoch = account[i + 1] end
end
if epoch ~= session.epoch or idle >= tonumber(ARGV[2]) or left <= 0 then
  redis.call('DEL', KEYS[10])
  return {}
end

if ARGV[4] == '1' and idle >= MINUTE then
  redis.call('HSET', KEYS[10], 'seen', int(now))
  redis.call('PEXPIRE', KEYS[10], int(math.min(tonumber(ARGV[2]), left)))
end
return {int(now), session.csrf, session.created, session.proved, session.account, unpack(account)}
