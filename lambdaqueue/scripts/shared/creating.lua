-- New jobs. Their ids are minted here, by Redis' clock: jobs due in the same millisecond keep the
-- order of their pushes.

local creating_made
local function creating()
  if creating_made then return creating_made end
  local MINT_PER_MS = 36 ^ 4
  local DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'

  local function base36(number, width)
    local digits = {}
    for i = width, 1, -1 do
      local digit = number % 36
      digits[i] = DIGITS:sub(digit + 1, digit + 1)
      number = (number - digit) / 36
    end
    return table.concat(digits)
  end

  -- A clock that never stands still nor goes back, whatever Redis TIME does.
  local stored = fetch(SEQ, 'ms', 'n')
  local mint = { ms = tonumber(stored.ms or 0), n = tonumber(stored.n or 0) }

  before_admit[#before_admit + 1] = function()
    redis.call('HSET', SEQ, 'ms', mint.ms, 'n', mint.n)
  end

  creating_made = function(q, now)
    if now > mint.ms then mint.ms, mint.n = now, 0 else mint.n = mint.n + 1 end
    if mint.n >= MINT_PER_MS then mint.ms, mint.n = mint.ms + 1, 0 end
    return base36(mint.ms, 9) .. base36(mint.n, 4) .. q.env
  end
  return creating_made
end

-- `want`: due, priority, expires or nil, key or nil, occurrence or nil, spec. Returns its id.
local function create(q, want, now)
  local id = creating()(q, now)
  redis.call('HSET', job_key(id), 'queue', q.name, 'state', 'PENDING', 'version', 1,
    'due', want.due)
  if want.priority ~= '0' then redis.call('HSET', job_key(id), 'priority', want.priority) end
  if want.expires then redis.call('HSET', job_key(id), 'expires', want.expires) end
  if want.flow then redis.call('HSET', job_key(id), 'flow', want.flow) end
  if want.occurrence then
    redis.call('HSET', job_key(id), 'occurrence', want.occurrence)
  end
  if want.key then
    redis.call('HSET', job_key(id), 'key', want.key)
    redis.call('HSET', q.keys, want.key, id)
  end
  redis.call('HSET', q.payloads, id, want.spec)
  wait(q, id, want.priority, want.due, want.flow)
  count(q, 'jobs', 1)
  return id
end

