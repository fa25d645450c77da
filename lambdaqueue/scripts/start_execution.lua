-- include: clock names requests queues totals limits lanes endpoints line entries executions endings creating follow_ups executing auditing
-- Start an execution of a service job by hand, beside its timetable.
--
-- KEYS  10 request
-- ARGV  1 now or '', 2 environment, 3 the service job, 4 'run' | 'retry' | 'test', 5 ms of the event
--       it's for or '', 6 the execution it repeats or '', 7 packed spec or '': the job's own,
--       8 s for which the request is remembered or '': as all are,
--       9 whom the audit names or '', 10 their address or ''
-- Returns  {'started', id} | {'absent'} | {'disabled'}
-- Why   a test is delivered like any execution, but is none of the job's runs: it's neither listed,
--       nor does it lock or leave a state.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local now, env, service_job, kind = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local stored = fetch(schedule_key(env .. ':' .. service_job), 'queue', 'spec', 'paused', 'exclusive',
  'collection')
if not stored.queue or stored.collection ~= 'services' then return {'absent'} end
if stored.paused == '1' and kind ~= 'test' then return {'disabled'} end

local q = open_queue(env .. ':' .. stored.queue)
local event = ARGV[5] ~= '' and tonumber(ARGV[5]) or now
local want = {
  due = now, priority = '0', spec = ARGV[7] ~= '' and ARGV[7] or stored.spec,
  occurrence = service_job .. '_' .. int(event), retry_of = ARGV[6] ~= '' and ARGV[6] or nil,
}
found_queue(q, now)
local id
if kind == 'test' then id = create(q, want, now)
else id = execute(q, service_job, want, stored.exclusive == '1', now) end
-- Not of one whose entry was trimmed just now: the link would stay for ever.
if want.retry_of and redis.call('HEXISTS', q.ended, want.retry_of) == 1 then
  redis.call('HSET', retried_key(env), want.retry_of, id)
end
settle_queues(now)
local action, object = 'service.' .. kind, service_job
if kind == 'retry' then action, object = 'execution.retry', ARGV[6] end
note_if_named(env, now, ARGV[9], ARGV[10], action, object)
return remember(KEYS[10], {'started', id}, ARGV[8] ~= '' and ARGV[8] or nil)
