-- Endpoints in trouble, each target of a queue by itself. Its jobs are set aside while it rests,
-- because it asked for that or because too many of its attempts failed; those of other targets go
-- on. `resting` has for each such endpoint when it must be looked at again, +inf if nothing is
-- set aside.
--
-- closed ──► open: of the window's attempts the ratio failed, at least LEAST of them
-- open ──► half-open: its time is over; one attempt at a time is a probe
-- half-open ──► closed: a probe succeeded;  ──► open: it failed, for twice as long

local function in_trouble(q) return q.troubled + (q.counts.troubled or 0) > 0 end

local endpoints_made
local function endpoints()
  if endpoints_made then return endpoints_made end
  local LEAST = 10                                -- attempts that a judgement takes
  local FIRST_REST, LONGEST_REST = 10000, 600000  -- ms
  local LONGEST_ASKED = 60000                     -- ms for which one answer can make it rest
  local PROBING = 1000                            -- ms until it's looked whether a probe is still out
  local MOST_LOOKED = 20                          -- endpoints in one run
  local FIRST_BACK, MOST_BACK = 8, 512            -- jobs that come back at once: twice as many each
  local STEP = 50                                 -- ms, as long as nothing is asked for again

  -- Which one a URL is: without its query, as validation sees it.
  local function open_at(q, digest, url)
    local e = q.endpoints[digest]
    if e then return e end
    local key = endpoint_key(q, digest)
    local stored = fetch(key, 'rest', 'opened', 'judged', 'probe', 'pace', 'idle')
    e = {
      digest = digest, key = key, aside = aside_key(q, digest), url = url,
      rest = tonumber(stored.rest), opened = tonumber(stored.opened or 0),
      judged = stored.judged or '', probe = stored.probe or '',
      pace = tonumber(stored.pace or FIRST_BACK), idle = tonumber(stored.idle or nil),
      look_at = tonumber(redis.call('ZSCORE', q.resting, digest) or nil),
    }
    q.endpoints[digest] = e
    return e
  end

  local function open(q, id)
    local head = (redis.call('HGET', q.payloads, id) or ''):match('^[^\n]+')
    local url = (head and cjson.decode(head).target or q.target or ''):match('^[^?#]*')
    return open_at(q, redis.sha1hex(url):sub(1, 16), url)
  end

  local function look_at(q, e, at)
    if not e.look_at then count(q, 'troubled', 1) end
    e.look_at, e.changed = at, true
    redis.call('ZADD', q.resting, at == math.huge and '+inf' or at, e.digest)
    q.stirred = true
  end

  local function forget_trouble(q, e)
    if not e.look_at then return end
    e.look_at, e.changed = nil, true
    redis.call('ZREM', q.resting, e.digest)
    count(q, 'troubled', -1)
  end

  -- Nil while it doesn't rest, nor after the clock went far back.
  local function rests_until(e, now)
    if e.rest and e.rest > now and e.rest <= now + LONGEST_REST then return e.rest end
  end

  local function rest(q, e, till)
    e.rest, e.pace = till, FIRST_BACK
    look_at(q, e, till)
  end

  local function open_breaker(q, e, now)
    if e.opened == 0 then count(q, 'opened', 1) end
    e.opened, e.judged = e.opened + 1, ''
    rest(q, e, now + math.min(LONGEST_REST, FIRST_REST * 2 ^ (e.opened - 1)))
  end

  local function close_breaker(q, e, now)
    count(q, 'opened', -1)
    e.opened, e.judged, e.rest, e.probe = 0, '', nil, ''
    look_at(q, e, now)
  end

  -- `ok`: the endpoint did its part; what it thinks of one job (4xx) is no fault of its own. While it's
  -- half-open the probe alone is judged: others were out before.
  local function judge(q, e, attempt, ok, now)
    if e.opened > 0 then
      if rests_until(e, now) or e.probe ~= attempt then return end
      if ok then return close_breaker(q, e, now) end
      return open_breaker(q, e, now)
    end
    local since, good, bad = e.judged:match('^(%d+) (%d+) (%d+)$')
    since, good, bad = tonumber(since or 0), tonumber(good), tonumber(bad)
    local of_namesake = since < q.created and q.created <= now
    if now - since > q.breaker.window or now < since or of_namesake then
      if ok then return end  -- a window begins with a failure: what is in order costs nothing
      since, good, bad = now, 0, 0
    end
    if ok then good = good + 1 else bad = bad + 1 end
    e.judged, e.changed = int(since) .. ' ' .. good .. ' ' .. bad, true
    if ok or good + bad < LEAST then return end
    if bad / (good + bad) >= q.breaker.ratio then open_breaker(q, e, now) end
  end

  -- 429 or 503 with Retry-After: the other jobs would only hear the same.
  local function rest_as_asked(q, e, asked, now)
    local till = now + math.min(asked, LONGEST_ASKED)
    local resting = rests_until(e, now)
    if not resting or till > resting then rest(q, e, till) end
  end

  -- A probe is out while its job has the token that it was claimed with, and no answer yet.
  local function is_probed(e)
    local id, token = e.probe:match('^(%S+) (%S+)$')
    if not id then return false end
    local job = fetch(job_key(id), 'token', 'awaiting')
    return job.token == token and not job.awaiting
  end

  local function must_rest(q, e, now)
    if e.opened > 0 and not q.breaker then return false end
    return e.look_at ~= nil and (rests_until(e, now) ~= nil or e.opened > 0 and is_probed(e))
  end

  local function note_start(e, id, token)
    if e.opened > 0 then e.probe, e.idle, e.changed = id .. ' ' .. token, nil, true end
  end

  local function set_aside(q, e, id, job, now)
    redis.call('HDEL', job_key(id), 'admission')
    redis.call('HSET', job_key(id), 'aside', e.digest)
    redis.call('ZADD', e.aside, int(band_of(level_of(job)) * BAND + job.due), id)
    hold_for(q, job, id)
    unstage(q, id, job)
    local again = rests_until(e, now) or now + PROBING
    if e.look_at > again then look_at(q, e, again) end
  end

  local function take_out(q, id, job)
    redis.call('ZREM', aside_key(q, job.aside), id)
    redis.call('HDEL', job_key(id), 'aside')
    job.aside = nil
  end

  local function bring_one(q, e, id)
    local job = fetch(job_key(id), 'due', 'priority', 'suspect', 'flow', 'expires', 'aside')
    redis.call('ZREM', e.aside, id)
    if job.aside ~= e.digest then return job end
    redis.call('HDEL', job_key(id), 'aside')
    wait(q, id, level_of(job), tonumber(job.due), job.flow)
    return job
  end

  -- Let up to `most` of its jobs come back; returns whether there were so many.
  local function bring_back(q, e, most)
    local ids = redis.call('ZRANGE', e.aside, 0, most - 1)
    for _, id in ipairs(ids) do bring_one(q, e, id) end
    return #ids == most
  end

  -- What is held to go first, where that is aside here: none of the others could start.
  local function foremost(q, e, id)
    local hold = q.hold
    if hold == '' and q.flow.ordered then
      local flow = fetch(job_key(id), 'flow').flow
      hold = flow and lanes().open(q, flow).hold or ''
    end
    return hold ~= '' and redis.call('ZSCORE', e.aside, hold) and hold or id
  end

  -- Those that are too old are no probes: they come back with the one that is. Returns whether there
  -- was any.
  local function bring_probe(q, e, now)
    for _ = 1, MOST_BACK do
      local id = redis.call('ZRANGE', e.aside, 0, 0)[1]
      if not id then return false end
      local job = bring_one(q, e, foremost(q, e, id))
      if job.aside and tonumber(job.expires or now) >= now then return true end
    end
    return true
  end

  local function look(q, e, now)
    if e.opened > 0 and not q.breaker then close_breaker(q, e, now) end
    local till = rests_until(e, now)
    if till then return look_at(q, e, till) end
    if e.opened == 0 then
      if not bring_back(q, e, e.pace) then return forget_trouble(q, e) end
      e.pace = math.min(MOST_BACK, e.pace * 2)
      return look_at(q, e, now + STEP)
    end
    -- Half-open.
    if is_probed(e) and redis.call('EXISTS', e.aside) == 1 or bring_probe(q, e, now) then
      return look_at(q, e, now + PROBING)
    end
    -- Nothing goes there any more: then it is forgotten, so that no dead one stays for ever.
    if is_probed(e) then e.idle = nil
    elseif not e.idle or e.idle > now then e.idle = now
    elseif now - e.idle >= LONGEST_REST then
      close_breaker(q, e, now)
      return forget_trouble(q, e)
    end
    look_at(q, e, (e.idle or now) + LONGEST_REST)
  end

  -- Bring back what need not wait any longer. Returns when the next endpoint must be looked at.
  local function look_round(q, now)
    local due = redis.call('ZRANGEBYSCORE', q.resting, '-inf', now, 'LIMIT', 0, MOST_LOOKED)
    for _, digest in ipairs(due) do look(q, open_at(q, digest), now) end
    -- The clock was set back: no rest is so long.
    local astray = redis.call('ZRANGEBYSCORE', q.resting, '(' .. int(now + LONGEST_REST), '(+inf',
      'LIMIT', 0, MOST_LOOKED)
    for _, digest in ipairs(astray) do look(q, open_at(q, digest), now) end
    local head = redis.call('ZRANGE', q.resting, 0, 0, 'WITHSCORES')
    return head[2] and head[2] ~= 'inf' and tonumber(head[2]) or nil
  end

  -- Its jobs may be for another one now.
  local function release(q, url, now)
    url = url:match('^[^?#]*')
    local e = open_at(q, redis.sha1hex(url):sub(1, 16), url)
    if not e.look_at then return end
    if e.opened > 0 then return close_breaker(q, e, now) end
    e.rest = nil
    look_at(q, e, now)
  end

  -- Without a breaker none is open: what follows is done by looking at them.
  local function look_at_all(q)
    redis.call('ZUNIONSTORE', q.resting, 1, q.resting, 'WEIGHTS', 0)
    q.stirred = true
  end

  local function forget_all(q)
    for _, digest in ipairs(redis.call('ZRANGE', q.resting, 0, -1)) do
      redis.call('DEL', endpoint_key(q, digest))
    end
    redis.call('DEL', q.resting)
  end

  -- Written once, when the run closes. What counts for a while only is kept for so long.
  local function close(q, e, now)
    local fields = { url = e.url, judged = e.judged, probe = e.probe, opened = int(e.opened),
      rest = rests_until(e, now) and int(e.rest) or '', idle = e.idle and int(e.idle) or '',
      pace = e.pace > FIRST_BACK and e.pace or '' }
    for field, value in pairs(fields) do
      if value == '' or value == '0' then redis.call('HDEL', e.key, field)
      else redis.call('HSET', e.key, field, value) end
    end
    if e.look_at then redis.call('PERSIST', e.key)
    elseif e.judged ~= '' then redis.call('PEXPIRE', e.key, q.breaker and q.breaker.window or 1)
    else redis.call('DEL', e.key) end
  end

  at_close[#at_close + 1] = function(now)
    for _, q in ipairs(order) do
      for _, e in pairs(q.endpoints) do
        if e.changed then close(q, e, now) end
      end
    end
  end

  endpoints_made = {
    open = open, judge = judge, rest_as_asked = rest_as_asked, must_rest = must_rest,
    note_start = note_start, set_aside = set_aside, take_out = take_out, look_round = look_round,
    look_at_all = look_at_all, release = release, forget_all = forget_all,
  }
  return endpoints_made
end

-- A job that waits leaves its place, wherever that is; an entry in the line is a tombstone then.
local function withdraw(q, id, job)
  if is_ready(job) then redis.call('HDEL', job_key(id), 'admission')
  elseif job.aside then endpoints().take_out(q, id, job)
  elseif job.flow and not job.staged then lanes().take_out(q, id, job.flow)
  else redis.call('ZREM', q.waiting .. level_of(job), id) end
  unstage(q, id, job)
end
