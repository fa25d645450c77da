-- include: names
-- Read some fields of an environment's queues, by name.
--
-- ARGV  1 environment, 2 the name to begin with or '', 3 the most queues, then the fields
-- Returns  {the name to go on with or '', {name, value or '', …}, …}
-- Why   one answer for many queues costs a fraction of an answer for each. It begins with a removing
--       command, because looking goes on when Redis is full.

redis.call('ZREM', READY, '')
local prefix, most = 'lq:' .. ARGV[1] .. ':', tonumber(ARGV[3])
local first, fields = ARGV[2] == '' and '-' or '[' .. ARGV[2], {}
for i = 4, #ARGV do fields[#fields + 1] = ARGV[i] end
local found = redis.call('ZRANGEBYLEX', prefix .. 'queues', first, '+', 'LIMIT', 0, most + 1)
local answer = { found[most + 1] or '' }
for i = 1, math.min(#found, most) do
  local row = { found[i] }
  for at, value in ipairs(redis.call('HMGET', prefix .. 'queue:' .. found[i], unpack(fields))) do
    row[at + 1] = value or ''
  end
  answer[i + 1] = row
end
return answer
