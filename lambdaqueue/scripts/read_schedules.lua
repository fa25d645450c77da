-- include: names
-- Read schedules.
--
-- ARGV  `environment:id` of each, from 1 on
-- Returns  for each its hash as {field, value, …}, empty where there is none

local rows = {}
for i = 1, #ARGV do rows[i] = redis.call('HGETALL', schedule_key(ARGV[i])) end
return rows
