-- include: names
-- Look for a unique key in an environment's queues.
--
-- ARGV  1 environment, 2 the name of the queue to begin with or '', 3 the most queues, 4 the key
-- Returns  {the name to go on with or '', {queue, id of the unfinished job or '', newest entry or ''}, …},
--       those alone that know the key
-- Why   one answer for many queues costs a fraction of an answer for each. It begins with a removing
--       command, because looking goes on when Redis is full.

redis.call('ZREM', READY, '')
local prefix, most = 'lq:' .. ARGV[1] .. ':', tonumber(ARGV[3])
local first = ARGV[2] == '' and '-' or '[' .. ARGV[2]
local found = redis.call('ZRANGEBYLEX', prefix .. 'queues', first, '+', 'LIMIT', 0, most + 1)
local answer = { found[most + 1] or '' }
for i = 1, math.min(#found, most) do
  local id = redis.call('HGET', prefix .. 'keys:' .. found[i], ARGV[4])
  local entry = redis.call('HGET', prefix .. 'latest:' .. found[i], ARGV[4])
  if id or entry then answer[#answer + 1] = { found[i], id or '', entry or '' } end
end
return answer
