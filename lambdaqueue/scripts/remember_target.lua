-- include: clock names
-- Remember what a validation brought, and let the next one begin.
--
-- KEYS  10 validating, then what is remembered of the target with each secret this says anything of
-- ARGV  1 now or '', 2 who validated, 3 'proved' | 'refused', 4 '1' if it speaks v1 or '',
--       5 reason or '', 6 ms for which it is remembered
-- Returns  {until}
-- Why   without any secret's key nothing is remembered: no answer came. A proof stands, whoever
--       comes late with a refusal. When Redis is full nothing is remembered, and asked again.

local ends = int(clock(ARGV[1]) + ARGV[6])
for i = 11, #KEYS do
  if ARGV[3] == 'proved' or fetch(KEYS[i], 'verdict').verdict ~= 'proved' then
    redis.call('HSET', KEYS[i], 'verdict', ARGV[3], 'v1', ARGV[4], 'reason', ARGV[5], 'until', ends)
    redis.call('PEXPIRE', KEYS[i], ARGV[6])
  end
end
if redis.call('GET', KEYS[10]) == ARGV[2] then redis.call('DEL', KEYS[10]) end
return {ends}
