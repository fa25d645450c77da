-- Names of keys (catalogue: keys.py) and the keys that every script gets first.

local SEQ, WAKE, READY, IN_LINE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local WORKERS, LINE, WIP, RQ_QUEUES, SUSPENDED = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]

-- An id is 9 characters of clock, 4 of counter, then its environment's id.
local function job_key(id) return 'lq:' .. id:sub(14) .. ':job:' .. id end
local function ref_of(id, queue_name) return id:sub(14) .. ':' .. queue_name end
local function rq_job_key(rq_id) return 'rq:job:' .. rq_id end
local function worker_key(worker) return 'lq:worker:' .. worker end
local function schedule_key(ref) return (ref:gsub('^([^:]+):', 'lq:%1:schedule:')) end
local function schedule_runs_key(ref) return (ref:gsub('^([^:]+):', 'lq:%1:schedule_runs:')) end
local function held_key(worker) return 'lq:held:' .. worker end
local function flow_key(q, flow) return 'lq:' .. q.env .. ':flow:' .. q.name .. ':' .. flow end
local function backlog_key(q, flow) return 'lq:' .. q.env .. ':backlog:' .. q.name .. ':' .. flow end
local function endpoint_key(q, digest) return 'lq:' .. q.env .. ':endpoint:' .. q.name .. ':' .. digest end
local function aside_key(q, digest) return 'lq:' .. q.env .. ':aside:' .. q.name .. ':' .. digest end
local function awaiting_key(ref) return (ref:gsub('^([^:]+):', 'lq:%1:awaiting:')) end
local function unfinished_key(ref) return (ref:gsub('^([^:]+):', 'lq:%1:unfinished:')) end
local function last_success_key(ref) return (ref:gsub('^([^:]+):', 'lq:%1:last_success:')) end
local function retried_key(env) return 'lq:' .. env .. ':retried' end
local function holder_of(token) return token:match('^[^.]+') end

-- HMGET under the names that were asked for; absent fields are nil.
local function fetch(key, ...)
  local values, fields = redis.call('HMGET', key, ...), {}
  for i, name in ipairs({...}) do
    if values[i] then fields[name] = values[i] end
  end
  return fields
end

-- HGETALL: cheaper than HMGET where most of what may be there isn't.
local function fetch_all(key)
  local stored, fields = redis.call('HGETALL', key), {}
  for i = 1, #stored, 2 do fields[stored[i]] = stored[i + 1] end
  return fields
end
