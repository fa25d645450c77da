-- The Redis client sends a script again when its reply got lost. A caller mints a request id
-- before the first send; whoever comes again within two minutes gets the first answer.

local REMEMBERED = 120  -- s; longer than any client goes on resending

-- Replies are arrays of strings, nested at will: JSON keeps them to the byte.
local function recall(key)
  local stored = redis.call('GET', key)
  return stored and cjson.decode(stored)
end

local function remember(key, reply)
  redis.call('SET', key, cjson.encode(reply), 'EX', REMEMBERED)
  return reply
end
