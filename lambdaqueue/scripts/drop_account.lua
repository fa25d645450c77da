-- include: clock names requests auditing accounts
-- Remove an account; its sessions are of no use from then on.
--
-- KEYS  10 request
-- ARGV  1 now or '', 2 its id, 3 actor's name, 4 its address or ''
-- Returns  {'dropped' | 'absent'}

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local account = fetch_all(account_key(ARGV[2]))
if not account.name then return {'absent'} end

redis.call('HDEL', ACCOUNTS, account.name)
redis.call('DEL', account_key(ARGV[2]), sites_key(ARGV[2]))
note_account(account, clock(ARGV[1]), ARGV[3], ARGV[4], 'account.delete')
return remember(KEYS[10], {'dropped'})
