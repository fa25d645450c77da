-- include: clock names requests auditing
-- Store a token, by its hash.
--
-- KEYS  10 request, 11 the environment, 12 all tokens, 13 its tokens
-- ARGV  1 now or '', 2 environment, 3 token id, 4 its name, 5 packed, 6 the most an environment may
--       have, 7 actor's name, 8 its address or ''
-- Returns  {'issued' | 'name_taken' | 'id_taken' | 'too_many' | 'absent'}
-- Why   the audit names tokens, so no two of an environment have the same name.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local id, name = ARGV[3], ARGV[4]
local environment = fetch(KEYS[11], 'name', 'closed')
if not environment.name or environment.closed then return {'absent'} end
if redis.call('HEXISTS', KEYS[12], id) == 1 then return {'id_taken'} end
if redis.call('HLEN', KEYS[13]) >= tonumber(ARGV[6]) then return {'too_many'} end
for _, packed in ipairs(redis.call('HVALS', KEYS[13])) do
  if cjson.decode(packed).name == name then return {'name_taken'} end
end

redis.call('HSET', KEYS[12], id, ARGV[2])
redis.call('HSET', KEYS[13], id, ARGV[5])
note(ARGV[2], clock(ARGV[1]), ARGV[7], ARGV[8], 'token.create', name)
return remember(KEYS[10], {'issued'})
