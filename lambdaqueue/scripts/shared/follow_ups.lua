-- A queue's owner may want a job pushed for every success, or every failure, of its jobs: it's in the
-- same run that ends them, so none gets lost. Follow-ups have none of their own.

local FOLLOWED = { COMPLETED = 'on_success', FAILED = 'on_failure' }
local EVENT = { COMPLETED = 'job.completed', FAILED = 'job.failed' }

local function report(q, id, job, ending, now)
  local told = {
    id = id, queue = q.name, key = job.key, state = ending.state, error = ending.error,
    version = tonumber(job.version), attempt = tonumber(job.attempt or 0),
    endedAt = iso(now):sub(1, 23) .. 'Z',
  }
  if ending.result and ending.result ~= '' then
    told.result = { status = cjson.decode(ending.result).status }
  end
  return { type = EVENT[ending.state], job = told }
end

local function sentence(q, id, job, ending)
  local name = job.key and id .. ' (' .. job.key .. ')' or id
  if ending.state == 'COMPLETED' then
    return { text = 'Job ' .. name .. ' of queue ' .. q.name .. ' has completed.' }
  end
  return { text = 'Job ' .. name .. ' of queue ' .. q.name .. ' has failed: ' .. (ending.error or '?') }
end

when_ended[#when_ended + 1] = function(q, id, job, ending, now)
  local wanted = FOLLOWED[ending.state] and q[FOLLOWED[ending.state]]
  if not wanted or job.follows then return end
  local queue, format, head = wanted:match('^(%S+) (%S+)\n(.*)$')
  local body = format == 'slack' and sentence(q, id, job, ending) or report(q, id, job, ending, now)
  if fetch(q.environment, 'closed').closed then return end
  local other = open_queue(q.env .. ':' .. queue)
  found_queue(other, now)
  local follower = create(other, { due = now, priority = '0', spec = head .. cjson.encode(body) }, now)
  redis.call('HSET', job_key(follower), 'follows', id)
end
