-- Entries of the line. One stays in `ready`, and keeps its place in the window, until it is
-- popped: the entry of a job that was cancelled or moved is a tombstone until then.

local function parse_entry(rq_id) return rq_id:match('^(%w+)_(%d+)$') end

local function fetch_job(id) return fetch_all(job_key(id)) end

-- An entry that was popped gives its place in the window free. Returns its queue, or nil where
-- nothing tells which that was. A live entry's job knows; a tombstone's RQ job does.
local function leave_line(rq_id, id, job, live)
  local ref, level = live and ref_of(id, job.queue), live and job.suspect and 's'
  if not live then
    local entry = fetch(rq_job_key(rq_id), 'queue', 'level')
    ref, level = entry.queue, entry.level
  end
  if not ref then return nil end
  local q = open_queue(ref)
  q.in_line = math.max(0, q.in_line - 1)
  if level == 's' then q.suspects = math.max(0, q.suspects - 1) end
  q.stirred = true
  return q
end

-- The job named by id, or by a queue's unique key; nil where there is none.
local function find_job(id, ref, key)
  if id == '' then
    local env, name = ref:match('^([^:]+):(.+)$')
    id = redis.call('HGET', 'lq:' .. env .. ':keys:' .. name, key)
    if not id then return nil end
  end
  local job = fetch_job(id)
  if not job.state then return nil end
  return id, job, open_queue(ref_of(id, job.queue))
end

-- A ready job that may not start now waits again, with its old due time.
local function put_back(q, id, job)
  redis.call('HDEL', job_key(id), 'admission')
  unstage(q, id, job)
  wait(q, id, level_of(job), job.due, job.flow)
end
