-- Append-only and capped: who did what in an environment, and from where.

local MOST_AUDITED = 10000

local function note(env, now, name, address, action, object)
  redis.call('XADD', 'lq:' .. env .. ':audit', 'MAXLEN', MOST_AUDITED, '*', 'at', int(now),
    'token', name, 'action', action, 'object', object, 'address', address)
end
