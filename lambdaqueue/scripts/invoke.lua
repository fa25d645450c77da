-- include: clock names queues entries executions
-- Register the callback token of an attempt that is about to be sent.
--
-- ARGV  1 job id, 2 its fencing token, 3 digest of the callback token, 4 ms that it may run,
--       5 ms between two heartbeats, 6 the service job it belongs to or ''
-- Returns  {'registered', what the service job's last success has left as JSON or ''} | {'stale'}:
--       it's no longer this worker's, or has begun by a callback to the attempt before
-- Why   before the call, because the first callback may come before its answer. From now on the
--       tokens of earlier attempts are dead.

redis.call('ZREM', READY, '')
local id, digest = ARGV[1], ARGV[3]
local job = fetch_job(id)
if job.state ~= 'RUNNING' or job.token ~= ARGV[2] or job.awaiting then return {'stale'} end
if job.callback ~= digest then
  retire_token(id, job)
  redis.call('HDEL', job_key(id), 'progress', 'rate', 'heard', 'failed')
  redis.call('HSET', job_key(id), 'callback', digest, 'called', job.attempt, 'ttl', ARGV[4],
    'beat', ARGV[5])
end
if ARGV[6] == '' then return {'registered', ''} end
local left = redis.call('GET', last_success_key(ref_of(id, ARGV[6])))
return {'registered', left or ''}
