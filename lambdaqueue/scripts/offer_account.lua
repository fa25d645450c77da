-- include: accounts
-- Keep the hash of a link that makes the first account, while there is none.
--
-- ARGV  1 the link's hash, 2 s for which it's good, 3 whether it takes the place of one that was made
--       before: 0 or 1
-- Returns  {'offered' | 'known' | 'over'}
-- Why   many processes start at the same time, and one of them tells the operator. It's told the same
--       when it asks again, because the reply got lost.

if redis.call('EXISTS', ACCOUNTS) == 1 then return {'over'} end
local known = redis.call('GET', FIRST_LINK)
if known and known ~= ARGV[1] and ARGV[3] == '0' then return {'known'} end
redis.call('SET', FIRST_LINK, ARGV[1], 'EX', ARGV[2])
return {'offered'}
