-- include: clock names queues totals limits lanes endpoints line
-- One round of the scheduler: advance the lease clock, admit what has come due.
--
-- ARGV  1 now or ''
-- Returns  {now in µs, ms of the next wake or ''}
-- Why   the lease clock only goes forward, by at most a second a tick: an outage or a step of
--       the machine's clock lets no lease run out. The cost grows with the queues that are due.

local MOST_QUEUES = 50
local LONGEST_STEP = 1000  -- ms

redis.call('ZREM', READY, '')  -- a removing command first: the rest passes when Redis is full
local now = clock(ARGV[1])
local last = tonumber(redis.call('HGET', SEQ, 'tick_ms') or now)
redis.call('HSET', SEQ, 'tick_ms', now)
if now > last then
  redis.call('HINCRBY', SEQ, 'lease_ms', int(math.min(now - last, LONGEST_STEP)))
end

for _, ref in ipairs(redis.call('ZRANGEBYSCORE', WAKE, '-inf', now, 'LIMIT', 0, MOST_QUEUES)) do
  open_queue(ref).stirred = true
end
settle_queues(now)
local head = redis.call('ZRANGE', WAKE, 0, 0, 'WITHSCORES')
local micros = now * 1000
if ARGV[1] == '' then
  local time = redis.call('TIME')
  micros = time[1] * 1000000 + time[2]
end
return {int(micros), head[2] or ''}
