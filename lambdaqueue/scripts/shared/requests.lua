-- The Redis client sends a script again when its reply got lost. A caller mints a request id
-- before the first send; whoever comes again within two minutes gets the first answer.

local REMEMBERED = 120  -- s; longer than any client goes on resending

-- Replies are arrays of strings, nested at will: JSON keeps them to the byte.
local function recall(key)
  local stored = redis.call('GET', key)
  return stored and cjson.decode(stored)
end

local function remember(key, reply, seconds)
  redis.call('SET', key, cjson.encode(reply), 'EX', seconds or REMEMBERED)
  return reply
end

-- A client's own Idempotency-Key, which it sends with a fingerprint ('': it sent none). Nil where
-- the key is new; else the first answer, named as such, or that it came with another request.
local function recall_for_client(key, fingerprint)
  local known = fingerprint ~= '' and fetch(key, 'fingerprint', 'answer') or {}
  if not known.answer then return nil end
  if known.fingerprint ~= fingerprint then return {'mismatch'} end
  local answer = cjson.decode(known.answer)
  answer[1] = 'replayed'
  return answer
end

local function remember_for_client(key, fingerprint, answer, seconds)
  if fingerprint == '' then return end
  redis.call('HSET', key, 'fingerprint', fingerprint, 'answer', cjson.encode(answer))
  redis.call('EXPIRE', key, seconds)
end
