-- include: clock names requests queues totals limits lanes endpoints line entries describing executions replacing auditing
-- Give a job a new version, made from the one that the caller has read.
--
-- KEYS  10 request
-- ARGV  1 now or '', 2 job id, 3 version it was made from, 4 when ('' keeps the due time |
--       '+<ms>' | '<Unix ms>'), 5 priority, 6 max age in ms or '', 7 'target' or '', 8 packed spec, 9 its flow or '',
--       10 whom the audit names or '', 11 their address or ''
-- Returns  {'replaced' | 'pending' | 'conflict' | 'absent' | 'no_target'} and the row of describing.lua
-- Why   compare and set: on 'conflict' the caller reads again. The rest is as in push.lua.

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local now = clock(ARGV[1])
local id, job, q = find_job(ARGV[2])
if not id then return {'absent'} end
if (job.next_version or job.version) ~= ARGV[3] then return {'conflict'} end
if ARGV[7] == '' and not q.target then return {'no_target'} end

local when = ARGV[4]
local due = when:sub(1, 1) == '+' and now + tonumber(when:sub(2))
  or when ~= '' and math.max(now, tonumber(when))
  or tonumber(job.next_due or (job.state == 'RUNNING' and now) or job.due)
local place = supersede(q, id, job, {
  due = due, priority = ARGV[5], spec = ARGV[8], flow = ARGV[9] ~= '' and ARGV[9] or nil,
  expires = ARGV[6] ~= '' and due + tonumber(ARGV[6]) or nil,
}, now)
local answer = describe(q, id, place)
settle_queues(now)
note_if_named(q.env, now, ARGV[10], ARGV[11], 'item.change', q.name .. ' ' .. id)
return remember(KEYS[10], answer)
