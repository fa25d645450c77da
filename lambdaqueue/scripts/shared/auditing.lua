-- Append-only and capped: who did what in an environment, and from where.

local MOST_AUDITED = 10000

local function note(env, now, name, address, action, object)
  redis.call('XADD', 'lq:' .. env .. ':audit', 'MAXLEN', MOST_AUDITED, '*', 'at', int(now),
    'token', name, 'action', action, 'object', object, 'address', address)
end

-- `name` '': nobody is told of. Programs do some things all the time, and of what takes many steps one
-- entry is enough. Nor is there one in an environment that ends: its audit may be deleted already.
local function note_if_named(env, now, name, address, action, object)
  if name == '' or fetch('lq:' .. env .. ':env', 'closed').closed then return end
  note(env, now, name, address, action, object)
end
