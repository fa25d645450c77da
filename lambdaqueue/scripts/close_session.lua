-- include: clock names requests auditing accounts
-- End a session.
--
-- KEYS  10 request, 11 the session
-- ARGV  1 now or '', 2 account's id, 3 address or ''
-- Returns  {'closed' | 'absent'}

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
if redis.call('DEL', KEYS[11]) == 0 then return {'absent'} end
local account = fetch_all(account_key(ARGV[2]))
if account.name then
  note_account(account, clock(ARGV[1]), account.name, ARGV[3], 'account.sign_out')
end
return remember(KEYS[10], {'closed'})
