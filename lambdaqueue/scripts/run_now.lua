-- include: clock names requests queues line entries describing
-- Make a waiting job due now.
--
-- KEYS  10 request, 11 idempotency key or ''
-- ARGV  1 now or '', 2 job id, 3 fingerprint or '', 4 s to remember the idempotency key
-- Returns  {'due' | 'replayed' | 'mismatch' | 'running' | 'absent'} and the row of describing.lua

local first_answer = recall(KEYS[10])
if first_answer then return first_answer end
local now, fingerprint = clock(ARGV[1]), ARGV[3]
if fingerprint ~= '' then
  local known = fetch(KEYS[11], 'fingerprint', 'answer')
  if known.answer then
    if known.fingerprint ~= fingerprint then return {'mismatch'} end
    local answer = cjson.decode(known.answer)
    answer[1] = 'replayed'
    return answer
  end
end
local id, job, q = find_job(ARGV[2])
if not id then return {'absent'} end
if job.state == 'RUNNING' then return {'running'} end

if tonumber(job.due) > now then
  redis.call('HSET', job_key(id), 'due', now)
  if not is_ready(job) then wait(q, id, level_of(job), now) end
end
local answer = describe(q, id, 'due')
settle_queues(now)
if fingerprint ~= '' then
  redis.call('HSET', KEYS[11], 'fingerprint', fingerprint, 'answer', cjson.encode(answer))
  redis.call('EXPIRE', KEYS[11], ARGV[4])
end
return remember(KEYS[10], answer)
