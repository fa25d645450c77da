-- include: clock
-- Read a token by its id.
--
-- KEYS  10 all tokens
-- ARGV  1 now or '', 2 token id
-- Returns  {environment, packed, ms of its last use or '', now} | {}
-- Why   the environment's keys are known only after the first read. Whether the token is the right
--       one is not decided here: that takes a comparison in constant time.

local env = redis.call('HGET', KEYS[10], ARGV[2])
local packed = env and redis.call('HGET', 'lq:' .. env .. ':tokens', ARGV[2])
if not packed then return {} end
local used = redis.call('HGET', 'lq:' .. env .. ':token_uses', ARGV[2]) or ''
return {env, packed, used, int(clock(ARGV[1]))}
