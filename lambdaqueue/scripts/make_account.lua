-- include: clock names requests auditing accounts
-- Make an account.
--
-- KEYS  10 request
-- ARGV  1 now or '', 2 its id, 3 its name, 4 its password, hashed, 5 the hash of the link that allows
--       it, '' for the command, 6 actor's name, 7 its address or '', then environment, role, … ('*': all)
-- Returns  {'made' | 'taken' | 'used'}
-- Why   the link is for the first account alone, however it was made; with it the link is gone.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local id, name, link = ARGV[2], ARGV[3], ARGV[5]
if link ~= '' and (redis.call('GET', FIRST_LINK) ~= link or redis.call('EXISTS', ACCOUNTS) == 1) then
  return {'used'}
end
if redis.call('HEXISTS', ACCOUNTS, name) == 1 then return {'taken'} end

local now = clock(ARGV[1])
local account = {name = name, password = ARGV[4], created = int(now), epoch = '1'}
for i = 8, #ARGV, 2 do account['role:' .. ARGV[i]] = ARGV[i + 1] end
for field, value in pairs(account) do redis.call('HSET', account_key(id), field, value) end
redis.call('HSET', ACCOUNTS, name, id)
redis.call('DEL', FIRST_LINK)
note_account(account, now, ARGV[6], ARGV[7], 'account.create')
return remember(KEYS[10], {'made'})
