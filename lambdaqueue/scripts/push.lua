-- include: clock names requests queues totals limits lanes endpoints line entries creating executions replacing describing pushing
-- Store jobs of one queue, or replace those whose unique key is there: all of them or none.
--
-- KEYS  10 request, 11 idempotency key or ''
-- ARGV  1 now or '', 2 queue ref, 3 fingerprint or '', 4 s to remember the idempotency key,
--       then 8 for each job: key or '', 'keep' | 'replace', when ('' | '+<ms>' | '<Unix ms>'),
--       priority, max age in ms or '', 'target' if it has one of its own or '', packed spec,
--       its flow or ''
-- Returns  {'stored' | 'replayed', queue's settings or '', environment's retry or '', job…}, each
--       job a row as in describing.lua, of a new version only `version` and `due`
--       | {'mismatch'} | {'no_target', the job's index} | {'closed'}: the environment has ended
-- Why   ids are minted here, by Redis' clock: jobs due in the same millisecond keep push order.
--       A version that runs is never touched: its successor waits beside it as `next_*`.

return recall(KEYS[10]) or recall_for_client(KEYS[11], ARGV[3]) or push_orders(clock(ARGV[1]), 5)
