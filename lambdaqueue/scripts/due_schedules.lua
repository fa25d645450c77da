-- include: clock names
-- Read the schedules whose next run has come.
--
-- KEYS  10 due schedules
-- ARGV  1 now or '', 2 the most to read
-- Returns  {now in µs, ms of the next one that is not read here or '', {ref, field, value, …}, …}
-- Why   the cost grows with those that are due, never with those there are, and payloads may be
--       large. One whose hash is gone leaves its entry to `fire`, which removes it.

local MOST_BYTES = 8388608  -- of payloads in one answer

local now, most = clock(ARGV[1]), tonumber(ARGV[2])
local refs = redis.call('ZRANGEBYSCORE', KEYS[10], '-inf', now, 'LIMIT', 0, most)
local rows, bytes = {}, 0
for i, ref in ipairs(refs) do
  rows[i] = { ref, unpack(redis.call('HGETALL', schedule_key(ref))) }
  bytes = bytes + redis.call('HSTRLEN', schedule_key(ref), 'spec')
  if bytes > MOST_BYTES then break end
end
local rest = redis.call('ZRANGE', KEYS[10], #rows, #rows, 'WITHSCORES')
local micros = now * 1000
if ARGV[1] == '' then
  local time = redis.call('TIME')
  micros = time[1] * 1000000 + time[2]
end
return {int(micros), rest[2] or '', unpack(rows)}
