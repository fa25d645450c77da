-- include: clock names queues entries describing
-- Read jobs: one by its unique key, or any number by their ids.
--
-- ARGV  1 queue ref, 2 unique key or '', then job ids
-- Returns  for each a row as in describing.lua, place 'live', or {'absent'}

local rows = {}

local function read(id, ref, key)
  local found, _, q = find_job(id, ref, key)
  rows[#rows + 1] = found and describe(q, found, 'live') or {'absent'}
end

if ARGV[2] ~= '' then read('', ARGV[1], ARGV[2]) end
for i = 3, #ARGV do read(ARGV[i]) end
return rows
