-- include: clock names
-- Tell what is remembered of a target, or who finds it out.
--
-- KEYS  10 validating, then what is remembered of it with each secret that may prove, newest first
-- ARGV  1 now or '', 2 who asks, 3 ms that a validation may take
-- Returns  {'proved', number of the secret from 0, '1' if it speaks v1 or '', ms left}
--       | {'refused', reason, until, ms left} | {'busy', ms left} | {'yours'}
-- Why   one validation at a time, however many workers ask; and whoever dies over it holds the
--       others up no longer than a validation may take. A secret of which nothing is known yet,
--       because it is new, may prove where the one before was refused. It begins with a removing
--       command, so deliveries go on when Redis is full.

redis.call('ZREM', READY, '')
local now, refused, reason, ends = clock(ARGV[1]), 0, nil, nil
local function left_until(at) return int(math.max(0, at - now)) end
for i = 11, #KEYS do
  local found = fetch(KEYS[i], 'verdict', 'v1', 'reason', 'until')
  if found.verdict == 'proved' then
    return {'proved', int(i - 11), found.v1 or '', left_until(found['until'])}
  elseif found.verdict then
    refused, reason, ends = refused + 1, found.reason, found['until']
  end
end
if refused > 0 and refused == #KEYS - 10 then
  return {'refused', reason, ends, left_until(ends)}
end

local who = redis.call('GET', KEYS[10])
if who and who ~= ARGV[2] then
  return {'busy', tostring(math.max(1, redis.call('PTTL', KEYS[10])))}
end
redis.call('SET', KEYS[10], ARGV[2], 'PX', ARGV[3])
return {'yours'}
