-- include: clock names queues entries describing
-- Read an execution that has not ended, and the clock.
--
-- ARGV  1 now or '', 2 its id
-- Returns  {now, a row as in describing.lua, place 'live', or {'absent'}}
-- Why   one step, because who ends an execution must know when that is.

local id, job, q = find_job(ARGV[2])
return {int(clock(ARGV[1])), job and describe(q, id, 'live') or {'absent'}}
