-- include: clock names requests auditing accounts
-- Give an account another password or role, or end its sessions.
--
-- KEYS  10 request
-- ARGV  1 now or '', 2 its id, 3 its new password, hashed, or '', 4 an environment or '*' or '', 5 the
--       role in it, '' for none, 6 whether its sessions end: 0 or 1, 7 actor's name, 8 its address or '',
--       9 action
-- Returns  {'changed' | 'absent'}
-- Why   a session counts only in the epoch in which it began: one number ends them all. It begins with
--       a removing command: somebody may have to be kept out while Redis is full.

redis.call('ZREM', READY, '')
local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local key = account_key(ARGV[2])
local account = fetch_all(key)
if not account.name then return {'absent'} end

if ARGV[3] ~= '' then redis.call('HSET', key, 'password', ARGV[3]) end
if ARGV[6] == '1' then redis.call('HINCRBY', key, 'epoch', 1) end
local change
if ARGV[4] ~= '' then
  local field, place = 'role:' .. ARGV[4], 'everywhere'
  if ARGV[4] ~= '*' then place = 'in ' .. (fetch('lq:' .. ARGV[4] .. ':env', 'name').name or ARGV[4]) end
  account[field] = ARGV[5]
  change = ': ' .. (ARGV[5] == '' and 'none' or ARGV[5]) .. ' ' .. place
  if ARGV[5] == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, ARGV[5]) end
end
note_account(account, clock(ARGV[1]), ARGV[7], ARGV[8], ARGV[9], change)
return remember(KEYS[10], {'changed'})
