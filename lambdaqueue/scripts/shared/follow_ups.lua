-- A queue's owner may want a job pushed for every success, or every failure, of its jobs, and so may
-- whoever pushes one: it's in the same run that ends them, so none gets lost. Follow-ups have none of
-- their own.

local FOLLOWED = { COMPLETED = 'on_success', FAILED = 'on_failure' }
local EVENT = { COMPLETED = 'job.completed', FAILED = 'job.failed' }

-- Rarely wanted, so nothing of it is made before.
local function follow_up(wanted, q, id, job, ending, now)
  local queue, format, target = wanted:match('^(%S+) (%S+) (.*)$')
  if not queue or fetch(q.environment, 'closed').closed then return end

  local function report()
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

  local function sentence()
    local name = job.key and id .. ' (' .. job.key .. ')' or id
    if ending.state == 'COMPLETED' then
      return { text = 'Job ' .. name .. ' of queue ' .. q.name .. ' has completed.' }
    end
    return { text = 'Job ' .. name .. ' of queue ' .. q.name .. ' has failed: ' .. (ending.error or '?') }
  end

  local body = format == 'slack' and sentence() or report()
  local options = { target = target, eventType = EVENT[ending.state] }
  local other = open_queue(q.env .. ':' .. queue)
  found_queue(other, now)
  local follower = create(other, { due = now, priority = '0',
    spec = cjson.encode(options) .. '\n' .. cjson.encode(body) }, now)
  redis.call('HSET', job_key(follower), 'follows', id)
end

when_ended[#when_ended + 1] = function(q, id, job, ending, spec, now)
  local of_queue = FOLLOWED[ending.state]
  if not of_queue or job.follows then return end
  -- A job's own stands in place of its queue's; '' is none. Options that have any begin with them:
  -- those of other jobs aren't decoded.
  local own = spec:sub(1, 10) == '{"follow":'
    and cjson.decode(spec:match('^[^\n]+')).follow[ending.state]
  local wanted = own or q[of_queue]
  if wanted then follow_up(wanted, q, id, job, ending, now) end
end
