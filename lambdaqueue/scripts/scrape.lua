-- include: clock names totals
-- Read what the metrics tell, in one moment; the busiest queues by name.
--
-- ARGV  1 how many queues are named
-- Returns  {totals, counts of the others, slots, ms of a scheduler's last round or 0, workers, ready
--       jobs, queues, for each named queue {ref, its environment's name, paused, jobs, running,
--       awaiting, completed, failed, cancelled, versions, totals}}, where totals and counts are {field,
--       value, …}; there are none of the others as long as all queues have had names
-- Why   counters must never fall, nor jump: what a queue does counts for the others too as long as it's
--       marked as unnamed, and stays with them when it gets a name; only its gauges come and go. So a
--       queue that is named costs its jobs nothing more, and a scrape sums up nothing.
--       Fresh ones were neither named nor among the others yet.
--       It begins with a removing command: an operator looks just when Redis is full.

redis.call('ZREM', READY, '')
local most, environments, keys = tonumber(ARGV[1]), {}, ledger()

local function move_gauges(ref, by)
  local gauges = fetch(keys.queue_key(ref), 'jobs', 'running', 'awaiting')
  for what, number in pairs(gauges) do
    if number ~= '0' then redis.call('HINCRBY', keys.OTHERS, what, by * number) end
  end
end

local function unname(ref, told)
  if told then move_gauges(ref, 1) else keys.bequeath(ref) end
  redis.call('HSET', keys.queue_key(ref), 'unnamed', 1)
end

local function name(ref)
  if redis.call('HDEL', keys.queue_key(ref), 'unnamed') == 1 then move_gauges(ref, -1) end
  redis.call('SADD', keys.NAMED, ref)
end

local function name_busiest(all)
  local wanted = {}
  for _, ref in ipairs(redis.call('ZREVRANGE', keys.BUSIEST, 0, most - 1)) do wanted[ref] = true end
  local told = redis.call('HEXISTS', keys.OTHERS, 'since') == 1
  for _, ref in ipairs(redis.call('SMEMBERS', keys.NAMED)) do
    if wanted[ref] then wanted[ref] = nil
    else
      redis.call('SREM', keys.NAMED, ref)
      unname(ref, told)
    end
  end
  for _, ref in ipairs(redis.call('SMEMBERS', keys.FRESH)) do
    if not wanted[ref] then unname(ref, false) end
  end
  redis.call('DEL', keys.FRESH)
  for ref in pairs(wanted) do name(ref) end
  if all > most then redis.call('HSETNX', keys.OTHERS, 'since', all) end
end

local function name_of(env)
  environments[env] = environments[env] or redis.call('HGET', 'lq:' .. env .. ':env', 'name') or env
  return environments[env]
end

local function read(ref)
  local row = { ref, name_of(ref:match('^[^:]+')) }
  local fields = redis.call('HMGET', keys.queue_key(ref), 'paused', 'jobs', 'running', 'awaiting',
    'completed', 'failed', 'cancelled', 'versions')
  for i = 1, 8 do row[2 + i] = fields[i] or '0' end
  row[11] = redis.call('HGETALL', totals_key(ref))
  return row
end

local all = redis.call('ZCARD', keys.BUSIEST)
name_busiest(all)
local of_others = redis.call('HGETALL', keys.OTHERS)
if redis.call('HEXISTS', keys.OTHERS, 'since') == 0 then of_others = {} end
local answer = { redis.call('HGETALL', 'lq:totals'), of_others,
  redis.call('HGET', SEQ, 'slots') or '0', redis.call('HGET', SEQ, 'tick_ms') or '0',
  int(redis.call('ZCARD', WORKERS)), int(redis.call('ZCARD', READY)), int(all) }
for _, ref in ipairs(redis.call('SMEMBERS', keys.NAMED)) do answer[#answer + 1] = read(ref) end
return answer
