-- include: names
-- Put a sealed secret in the place of the same one under an older master key.
--
-- KEYS  10 the hash that holds it
-- ARGV  1 its field, 2 what was there, 3 what shall be
-- Returns  {'resealed' | 'changed'}
-- Why   compare and set: a secret that was rotated meanwhile must not come back.

local stored = fetch(KEYS[10], ARGV[1])[ARGV[1]]
if stored ~= ARGV[2] and stored ~= ARGV[3] then return {'changed'} end
redis.call('HSET', KEYS[10], ARGV[1], ARGV[3])
return {'resealed'}
