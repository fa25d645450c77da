-- include: clock names requests auditing accounts
-- Begin a session of somebody who gave the right password.
--
-- KEYS  10 request, 11 the session, 12 the attempts of the name from its address, 13 all of that address,
--       14 the guesses at the name from strange ones
-- ARGV  1 now or '', 2 account's id, 3 what its forms bring back, 4 ms for which it may be idle,
--       5 address or '', 6 the password it was let in with, hashed, 7 the site the address stands for
-- Returns  {'opened' | 'absent'}
-- Why   the password may have been changed while it was looked at. It begins with a removing command,
--       because looking goes on when Redis is full.

redis.call('ZREM', READY, '')
local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local key = account_key(ARGV[2])
local account = fetch_all(key)
if not account.name or account.password ~= ARGV[6] then return {'absent'} end

local now = int(clock(ARGV[1]))
redis.call('HSET', KEYS[11], 'account', ARGV[2], 'epoch', account.epoch, 'csrf', ARGV[3],
  'created', now, 'seen', now, 'proved', now)
redis.call('PEXPIRE', KEYS[11], ARGV[4])
redis.call('HSET', key, 'last_sign_in', now)
take_back(KEYS[12], KEYS[13])
remember_site(ARGV[2], ARGV[7], now, KEYS[14])
note_account(account, now, account.name, ARGV[5], 'account.sign_in')
return remember(KEYS[10], {'opened'})
