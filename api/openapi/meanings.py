"""What each field of a request means, in the words of docs/api.md; a header means what its field
does."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["MEANINGS", "meaning"]

MEANINGS: Mapping[str, str] = {
    # What is delivered, and how.
    "payload": "What is sent: any JSON value, compactly; text where `contentType` is not JSON.",
    "payloadEncoding": "With `base64` the payload is bytes, written so, with padding.",
    "contentType": "Media type of the payload, passed on; JSON where none is given.",
    "target": "URL to call: `https`, as the endpoint rules allow. Without it the queue's.",
    "method": "Method of the call, POST where none is given.",
    "headers": "Extra headers for the target.",
    "retry": "Retry policy, in place of the queue's, the environment's or the default one.",
    "timeout": "ms for one attempt, all of it: 30 000 where nothing else is set.",
    "maxAge": "ms after the due time beyond which no attempt starts.",
    "priority": "Higher goes first among due items of one queue; 0 where none is given.",
    "eventType": "Free text, passed on as `x-lq-event-type`.",
    "flowKey": "What it belongs to, a customer say; a queue can limit each by itself.",
    "async": "A callback ends it, within so many ms of its start.",
    "heartbeat": "ms between its heartbeats, 30 000 where none is given; goes with `async`.",
    "onSuccess": "What is pushed when it has ended well; `none`: nothing. Without it the queue's.",
    "onFailure": "What is pushed when it has failed; `none`: nothing. Without it the queue's.",
    "key": "Unique among the unprocessed items of its queue.",
    "ifExists": "What to do with an unprocessed item of this key: `replace` or `keep` it.",
    "delay": "Due so many ms from now.",
    "on": "Due at this instant with zone, at most 366 days ahead; the past means now.",
    "items": "The items, in order; all are pushed or none.",
    # Schedules.
    "queue": "Queue to push to.",
    "schedule": "When: five cron fields, `cron()`, `rate()`, `every()`, `at()` or `@daily`.",
    "timezone": "Zone of the wall clock, a name of the tz database; `UTC` where none is given.",
    "tz": "Zone of the wall clock, a name of the tz database.",
    "ScheduleSchema.key": "Unique among the environment's schedules.",
    "startsAt": "No run before; `rate` and `every` count from it.",
    "endsAt": "No run after.",
    "maxRuns": "It ends after so many runs; those by hand don't count.",
    "jitter": "Each item is due later, by chance, by up to so many ms.",
    "misfire": "What becomes of runs that a downtime let pass: `once` (the newest), `skip`, `all`.",
    "overlap": "`skip`: a run is left out while the item of the last one is unfinished.",
    "from": "The runs after this instant (ISO-8601 with zone, or Unix ms); else after now.",
    "count": "How many runs.",
    # Queues.
    "QueueSchema.target": "For items without one; looked up at each attempt.",
    "QueueSchema.retry": "For items without one; null: the environment's, or the default one.",
    "QueueSchema.timeout": "ms for one attempt, for items without one; null: 30 000.",
    "QueueSchema.onSuccess": "What is pushed for each of its items that ends COMPLETED.",
    "QueueSchema.onFailure": "What is pushed for each of its items that ends FAILED.",
    "successStatus": "Which answers are success; null: `200-299`.",
    "historyLimit": "COMPLETED entries kept; null: 10 000.",
    "failedLimit": "FAILED and CANCELLED entries kept; null: 10 000.",
    "historyDays": "Days for which either is kept; null: 30.",
    "resultBytes": "Bytes of an answer's body kept; null: 4 096.",
    "validation": "`none`: its targets need prove nothing; the operator must allow it.",
    "concurrency": "Most attempts at once, over all workers; null: no limit.",
    "rate": "Most attempts in a time; null: no limit.",
    "flow": "What holds for each flow key by itself; null: no limit.",
    "ordered": "One at a time, and a failed item before those behind it.",
    "breaker": "When a target of the queue is left alone for a while; null: never.",
    "PurgeSchema.state": "What to delete; without it all that waits.",
    # History.
    "state": "Only those in this state.",
    "since": "Ended then or later.",
    "until": "Ended then or earlier.",
    "HistoryQuery.key": "Only those with this unique key.",
    "ExportQuery.key": "Only those with this unique key.",
    "ReplaysSchema.key": "Only those with this unique key.",
    "ReplaySchema.target": "Where to, in place of its own target.",
    "ReplaysSchema.target": "Where to, for all of them; each one's own where none is given.",
    "ReplaysSchema.rate": "Their due times are spread evenly; without it all are due now.",
    "ReplaysSchema.limit": "At most so many in this request.",
    "ReplaysSchema.cursor": "Go on where an earlier request ended, with its `nextCursor`.",
    # Lists.
    "limit": "At most so many rows.",
    "cursor": "The `nextCursor` of the page before.",
    "wait": "Seconds to wait for the item's end before answering.",
    # Managing.
    "name": "What the audit calls the token; unique in the environment.",
    "scopes": "What the token allows.",
    "expires": "When it ends, within ten years; without it never.",
    "RotationSchema.overlap": "ms for which the old secret signs as well.",
    "EnvironmentSchema.retry": "What holds where neither item nor queue has a policy; null: ours.",
    # Timers and messages.
    "timerCallbackData": "Body of its jobs, any JSON; without it `{id, type}`.",
    "shardId": "Yours: it is only kept and shown; `shard0` where none is given.",
    "minuteOfHour": "The first run is at the next such minute (UTC); else one `every` from now.",
    "every": "The interval between two runs, like `10s`, `5m`, `2h`, `1d`.",
    "at": "When: an instant with zone, at most 366 days ahead; the past means now.",
    "url": "Where to: as the target of a push.",
    "attempt": "The number of the first attempt, when others have tried before.",
    "MessageSchema.payload": "The body: any JSON value, sent compactly.",
    "MessageSchema.eventType": "Sent as the header `X-<Name>-Event-Type`.",
    "PeriodicSchema.target": "URL that its jobs POST to; without it that of the queue `periodic`.",
    "TimerSchema.target": "URL that its job POSTs to; without it that of the queue `periodic`.",
    "TimerSchema.delay": "When: so many ms from now.",
    # Service jobs.
    "ServiceJobSchema.async": "That it ends by a callback.",
    "enabled": "`false`: it doesn't run.",
    "exclusive": "One execution at a time; the next fails with `exclusive_lock`.",
    "invocation_target": "URL of the webhook.",
    "invocation_type": "How it is called.",
    "ServiceJobSchema.schedule": "When, in UTC.",
    "ttl_seconds": "How long an execution may take; less than 60 means 60.",
    "heartbeat_interval_seconds": "At least one callback in each.",
    "ServiceJobSchema.payload": "Text that each webhook carries.",
    "ServiceJobSchema.retry": "Policy for the start of an execution; null: the queue's.",
    "service_name": "A service, or several; with `job_name` as many as those.",
    "job_name": "A job, or several, each of the service at the same place.",
    "job_guid": "The guid of a job, or several.",
    "more": "The `paging.more` of the page before.",
    "ExecutionSearch.since": "Unix ms: only those that came into being then or later.",
    "ExecutionQuery.since": "Unix ms: only those that came into being then or later.",
    "status": "`processing` is a heartbeat; the others end the execution.",
    "progress": "How far it has come, in per cent; with `processing`.",
    "extend_seconds": "It may go on for so long from now, at least; with `processing`.",
    "summary": "A line for people, at most 4 096 bytes; with the end.",
    "CallbackSchema.state": "Any JSON value of at most 64 KiB for the next run; with `success`.",
    "error": "What went wrong, at most 64 KiB; with `fail`.",
    "correlation_id": "An id of yours; with the end.",
}
"""By the field's name, or `<schema>.<field>` where it means something of its own."""


def meaning(of: str, name: str) -> str:
    """Return what the field `name` of the schema `of` means; raises KeyError where none is said."""
    own = MEANINGS.get(f"{of}.{name}")
    return MEANINGS[name] if own is None else own
