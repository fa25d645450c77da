-- include: clock requests auditing
-- Make a token useless, at once.
--
-- KEYS  10 request, 11 all tokens, 12 the environment's tokens, 13 their last uses
-- ARGV  1 now or '', 2 environment, 3 token id, 4 actor's name, 5 its address or ''
-- Returns  {'revoked' | 'absent'}

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local packed = redis.call('HGET', KEYS[12], ARGV[3])
if not packed then return {'absent'} end

redis.call('HDEL', KEYS[11], ARGV[3])
redis.call('HDEL', KEYS[12], ARGV[3])
redis.call('HDEL', KEYS[13], ARGV[3])
note(ARGV[2], clock(ARGV[1]), ARGV[4], ARGV[5], 'token.revoke', cjson.decode(packed).name)
return remember(KEYS[10], {'revoked'})
