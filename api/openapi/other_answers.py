"""What the API answers about queues, environments and service jobs, and when it says no."""

from __future__ import annotations

from collections.abc import Mapping

from api.openapi.item_answers import page_of
from api.openapi.vocabulary import (
    Schema,
    choice,
    count,
    either,
    flag,
    instant,
    listed,
    nullable,
    number,
    record,
    ref,
    text,
    whole,
)
from lambdaqueue.execution import ExecutionStatus
from lambdaqueue.identity import TOKEN, Scope
from lambdaqueue.ids import JOB_ID

__all__ = ["OTHER_ANSWERS"]

_NAME = text("Names it in paths.", pattern=f"^{JOB_ID.pattern}$")
_OPTIONAL_TEXT = {"type": ["string", "null"]}

_QUEUE: Mapping[str, Schema] = {
    "name": text("Its name."),
    "paused": flag("Whether no further attempt starts."),
    "waiting": count("Items that wait now."),
    "running": count("Items that run now."),
    "completed": count("Items that ever ended so."),
    "failed": count("Items that ever ended so."),
    "cancelled": count("Items that ever ended so."),
    "target?": text("For items without one."),
    "retry?": ref("RetryPolicy"),
    "timeout?": count("ms for one attempt.", 1),
    "successStatus": ref("StatusRange"),
    "historyLimit": count("COMPLETED entries kept."),
    "failedLimit": count("FAILED and CANCELLED entries kept."),
    "historyDays": whole(1, 30, "Days for which either is kept."),
    "resultBytes": count("Bytes of an answer's body kept."),
    "validation": choice(("required", "none"), "Whether targets must prove that they know it."),
    "concurrency?": count("Most attempts at once.", 1),
    "rate?": ref("Rate"),
    "flow?": ref("FlowLimits"),
    "ordered": flag("One at a time."),
    "breaker?": ref("Breaker"),
    "breakerState?": choice(("open", "closed"), "`open` as long as any is not closed."),
    "onSuccess?": ref("FollowUp"),
    "onFailure?": ref("FollowUp"),
    "lastError?": record(
        {"error": text("`<class>: <text>`"), "at": instant()}, "Until the next success."
    ),
}

_QUEUE_STATS: Mapping[str, Schema] = {
    "lastHour": ref("Endings"),
    "today": ref("Endings"),
    "endpoints": listed(ref("Endpoint"), "Targets in trouble, up to 100."),
}

_TOKEN: Mapping[str, Schema] = {
    "id": text("Names it in paths."),
    "name": text("What the audit calls it."),
    "scopes": listed(choice(Scope)),
    "created": instant(),
    "expires?": instant(),
    "lastUsed?": instant("To the minute."),
}

_ROW: Mapping[str, Schema] = {
    "name": _NAME,
    "event": record(
        {
            "id": {**_OPTIONAL_TEXT, "description": "Which run: `<service>/<job>_<unix ms>`."},
            "time": instant("The time of the timetable that it runs for."),
            "time_ms": count("The same in Unix ms."),
        }
    ),
    "result": nullable(ref("ExecutionResult", "null while it runs.")),
    "updated_at": instant(),
    "inserted_at": instant(),
}

_SERVICE_JOB: Mapping[str, Schema] = {
    "async": {"type": "boolean", "const": True},
    "enabled": flag("Whether it runs."),
    "exclusive": flag("Whether one execution at a time runs."),
    "guid": text("Never changes.", format="uuid"),
    "heartbeat_interval_seconds": count("At least one callback in each.", 1),
    "invocation_target": text("URL of the webhook."),
    "invocation_type": {"type": "string", "const": "http"},
    "job_name": text(),
    "payload": {**_OPTIONAL_TEXT, "description": "Text that each webhook carries."},
    "schedule": text("When, in UTC."),
    "service_name": text(),
    "ttl_seconds": count("How long an execution may take.", 60),
    "retry?": ref("RetryPolicy"),
}

_EXECUTION: Mapping[str, Schema] = {
    **_ROW,
    "service_name": {**_OPTIONAL_TEXT, "description": "null of an async item."},
    "job_name": _OPTIONAL_TEXT,
    "queue": text("Where it stands."),
    "schedule": _OPTIONAL_TEXT,
    "test": flag("Whether it only tries the target out."),
    "status": choice(ExecutionStatus),
    "progress": nullable(number(0, 100)),
    "attempt": count("The newest attempt to start it."),
    "max_attempts": count("How many there may be.", 1),
    "ttl_seconds": {"type": "number"},
    "heartbeat_interval_seconds": {"type": "number"},
    "started_at": nullable(instant()),
    "last_heartbeat_at": nullable(instant()),
    "ended_at": nullable(instant()),
    "error": {**_OPTIONAL_TEXT, "description": "`<class>: <text>`"},
    "retry_of": {**_OPTIONAL_TEXT, "description": "The execution that it repeats."},
    "retried_by": {**_OPTIONAL_TEXT, "description": "The newest one that repeats it."},
    "attempts": listed(
        record(
            {
                "attempt": count(low=1),
                "started_at": instant(),
                "duration_ms": count(),
                "status": nullable(whole(100, 999)),
                "error": _OPTIONAL_TEXT,
            }
        )
    ),
}

_SECRET = text("`whsec_…`", pattern="^whsec_[A-Za-z0-9+/]+={0,2}$")
_CHECKS = {"type": "object", "additionalProperties": {"type": "string"}}

OTHER_ANSWERS: Mapping[str, Schema] = {
    "Queue": record(_QUEUE, "A queue with its settings; those it doesn't have are missing."),
    "QueueWithStats": record({**_QUEUE, **_QUEUE_STATS}),
    "QueuePage": page_of("queues", ref("Queue")),
    "Endings": record(
        {
            "completed": count(),
            "failed": count(),
            "cancelled": count(),
            "byClass": {
                "type": "object",
                "description": "The failed ones by the class of their error.",
                "additionalProperties": {"type": "integer", "minimum": 0},
            },
        },
        "What ended in a time.",
    ),
    "Endpoint": record(
        {
            "url": text("Without its query."),
            "state": choice(("resting", "open", "half-open", "recovering")),
            "restsUntil?": instant("When it is called again."),
            "opened": count("How often in a row its breaker has opened."),
            "aside": count("Items that wait for it."),
        }
    ),
    "Purged": record({"purged": count("How many were deleted."), "more": flag("Send it again.")}),
    "QueueSecret": record({"secret": _SECRET}),
    "Secret": record(
        {
            "secret": _SECRET,
            "since": instant(),
            "previous?": _SECRET,
            "previousUntil?": instant("Until then both sign."),
        }
    ),
    "Token": record(_TOKEN),
    "IssuedToken": record(
        {**_TOKEN, "token": text("Shown this once.", pattern=f"^{TOKEN.pattern}$")}
    ),
    "TokenPage": page_of("tokens", ref("Token")),
    "Environment": record(
        {"id": text(), "name": text(), "created": instant(), "retry?": ref("RetryPolicy")}
    ),
    "AuditEntry": record(
        {
            "id": text(),
            "at": instant(),
            "token": text("The token's name, or the command's."),
            "action": text("Like `queue.pause`."),
            "object": text("Its name."),
            "address": text("Where it came from."),
        }
    ),
    "AuditPage": page_of("entries", ref("AuditEntry")),
    "ServiceJob": record(_SERVICE_JOB),
    "ServiceJobs": listed(ref("ServiceJob")),
    "FoundJobs": record({"results": listed(ref("ServiceJob"))}),
    "ExecutionName": record({"name": _NAME}),
    "ExecutionRow": record(_ROW),
    "ExecutionResult": record(
        {
            "status": choice(each for each in ExecutionStatus if each.ended),
            "summary": _OPTIONAL_TEXT,
            "state": {"description": "Any JSON value."},
            "error": either({"type": "string"}, {"type": "object"}, {"type": "null"}),
            "correlation_id": _OPTIONAL_TEXT,
        },
        "How it ended: as its service said, or as we had to.",
    ),
    "ExecutionPage": record(
        {
            "count": count("Results on this page."),
            "since": count("Unix ms, as it was asked."),
            "paging": record({"more?": text("Where to go on.")}),
            "results": listed(ref("ExecutionRow")),
        }
    ),
    "Execution": record(_EXECUTION),
    "Heard": record({"status": choice(("success", "fail"))}),
    "Health": record({"status": {"const": "ok"}, "version": text()}),
    "Readiness": record(
        {
            "status": choice(("ok", "unavailable")),
            "checks": {**_CHECKS, "description": "What is wrong, by the name of the check."},
            "warnings": _CHECKS,
        }
    ),
    "Issue": record(
        {
            "validation": text("The same as `code`."),
            "code": text("The rule that is broken."),
            "path": listed(
                either({"type": "string"}, {"type": "integer"}), "Leads to the field or header."
            ),
            "message": text("The rule in words."),
        }
    ),
    "Problem": record(
        {
            "type": text("For programs."),
            "title": text(),
            "status": whole(400, 599),
            "detail": text("For people."),
            "message": text("Repeats `detail`."),
            "issues?": listed(ref("Issue"), "Each broken rule.", minItems=1),
        },
        "Every error (RFC 9457); nothing was stored.",
    ),
}
