-- include: clock names auditing
-- Store the token that the operator fixed, if it is another one than at the last start.
--
-- KEYS  10 the environment, 11 all tokens, 12 its tokens, 13 their last uses
-- ARGV  1 now or '', 2 environment, 3 token id, 4 packed, 5 the token's hash
-- Returns  {'stored' | 'known' | 'id_taken'}
-- Why   one that was revoked stays so, though the variable still names it: only another one is
--       taken, and takes the place of the one before.

local before = fetch(KEYS[10], 'bootstrap', 'bootstrap_id')
if before.bootstrap == ARGV[5] then return {'known'} end
local holder = redis.call('HGET', KEYS[11], ARGV[3])
if holder and (holder ~= ARGV[2] or before.bootstrap_id ~= ARGV[3]) then return {'id_taken'} end

if before.bootstrap_id then
  redis.call('HDEL', KEYS[11], before.bootstrap_id)
  redis.call('HDEL', KEYS[12], before.bootstrap_id)
  redis.call('HDEL', KEYS[13], before.bootstrap_id)
end
redis.call('HSET', KEYS[11], ARGV[3], ARGV[2])
redis.call('HSET', KEYS[12], ARGV[3], ARGV[4])
redis.call('HSET', KEYS[10], 'bootstrap', ARGV[5], 'bootstrap_id', ARGV[3])
note(ARGV[2], clock(ARGV[1]), 'LQ_BOOTSTRAP_TOKEN', '', 'token.create', 'bootstrap')
return {'stored'}
