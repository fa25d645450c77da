-- People's accounts. What one may do is in the fields `role:<environment>` of its hash, `role:*` for
-- every environment.

local ACCOUNTS, FIRST_LINK = 'lq:accounts', 'lq:first_link'
local FIRST_ENVIRONMENT = '1'

local function account_key(id) return 'lq:account:' .. id end

local function sites_key(id) return 'lq:sites:' .. id end

-- The audits that are told of it: those of its environments; the first one's where it may look at all.
local function audited(account)
  local found = {}
  for field in pairs(account) do
    local env = field:match('^role:(.+)$')
    if env == '*' then env = FIRST_ENVIRONMENT end
    if env then found[env] = true end
  end
  if not next(found) then found[FIRST_ENVIRONMENT] = true end
  return found
end

local function note_account(account, now, name, address, action, more)
  for env in pairs(audited(account)) do
    local environment = fetch('lq:' .. env .. ':env', 'name', 'closed')
    if environment.name and not environment.closed then
      note(env, now, name, address, action, account.name .. (more or ''))
    end
  end
end

-- A right password takes back what its attempt has counted: all of the name, its own of the address.
local function take_back(of_name, of_address)
  redis.call('DEL', of_name)
  if redis.call('EXISTS', of_address) == 0 then return end
  redis.call('HINCRBY', of_address, 'count', -1)
  redis.call('HDEL', of_address, 'until')
end

-- Where an account has signed in it's no stranger from then on: the newest places, for a while. The
-- attempt that was one still is taken back from the guesses at its name.
local function remember_site(id, site, now, guesses)
  local MOST, LIFE = 20, 90 * 86400000  -- ms
  local key = sites_key(id)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - LIFE))
  if redis.call('ZADD', key, now, site) == 1 and tonumber(redis.call('GET', guesses) or 0) > 0 then
    redis.call('DECR', guesses)
  end
  redis.call('ZREMRANGEBYRANK', key, 0, -1 - MOST)
  redis.call('PEXPIRE', key, LIFE)
end
