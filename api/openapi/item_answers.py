"""What the API answers about items, their history, and schedules."""

from __future__ import annotations

from collections.abc import Mapping

from api.openapi.vocabulary import (
    Schema,
    choice,
    count,
    either,
    flag,
    instant,
    listed,
    number,
    record,
    ref,
    text,
    whole,
)
from lambdaqueue.attempt_log import LOGGED
from lambdaqueue.ids import JOB_ID
from lambdaqueue.job import State

__all__ = ["ITEM_ANSWERS", "page_of"]


def page_of(plural: str, rows: Schema) -> Schema:
    """Return the schema of one page of a list."""
    following = text("Go on with it as `cursor`; missing on the last page.")
    return record({plural: listed(rows), "nextCursor?": following})


_TARGET = record(
    {
        "url?": text("The queue's target where it has none of its own."),
        "method": text("Method of the call."),
    }
)
_METHOD = {"type": "string", "const": "HTTP"}
_PAYLOAD: Mapping[str, Schema] = {
    "payloadType": text("Media type of the payload."),
    "payloadEncoding?": choice(
        ("json", "text", "base64"), "How `payload` is written; missing where that is empty."
    ),
    "payload?": {
        "description": "JSON exactly as it was pushed, else text, else base64. Of COMPLETED none."
    },
}
_OWN_OPTIONS: Mapping[str, Schema] = {
    "flowKey?": text("The flow key."),
    "async?": count("ms: its ttl, if a callback ends it.", 1),
    "heartbeat?": count("ms between its heartbeats.", 1),
    "onSuccess?": either(
        ref("FollowUp"), {"const": "none"}, about="Its own follow-up, not its queue's."
    ),
    "onFailure?": either(
        ref("FollowUp"), {"const": "none"}, about="Its own follow-up, not its queue's."
    ),
}

_ITEM: Mapping[str, Schema] = {
    "id": text("Ids sort in the order of the pushes.", pattern=f"^{JOB_ID.pattern}$"),
    "key?": text("The unique key."),
    "queue": text("The queue's name."),
    "created": instant("When it was pushed first."),
    "target": _TARGET,
    "type": _METHOD,
    "state": choice(State, "`PENDING` waits or is ready, `RETRY` waits for another attempt."),
    "version": count("1, and one more with every replacement and change.", 1),
    "pending?": flag("`true` while an older version runs; the rest is the new version's."),
    "attempt": count("The newest attempt; 0: none yet."),
    "maxAttempts": count("How many there may be.", 1),
    "priority": whole(0, 9, "Higher goes first."),
    "dueAt": instant("When the next attempt is due, or the last one was."),
    **_PAYLOAD,
    "scheduleId?": text("Of an item that a schedule pushed: whose."),
    "occurrence?": text("Which run of that: `<schedule id>_<unix ms of the run>`."),
    "replayOf?": text("Id of the ended item that it repeats."),
    **_OWN_OPTIONS,
    "startedAt?": instant("Since when its service works."),
    "progress?": number(0, 100, "What that said last, in per cent."),
    "error?": text("`<class>: <text>` of the last attempt, or why it ended."),
    "lastAttempt?": ref("Attempt"),
}

_END: Mapping[str, Schema] = {
    "entry": text("Names it in history.", pattern=r"^[cf][0-9]+-[0-9]+$"),
    "endedAt": instant("When it ended."),
    "attempts": listed(ref("Attempt"), f"The last {LOGGED}.", maxItems=LOGGED),
    "result?": ref("Result"),
    "callback?": ref("CallbackResult"),
}

_SCHEDULE: Mapping[str, Schema] = {
    "id": text("Names it in paths."),
    "key?": text("The unique key."),
    "created": instant("When it was made."),
    "paused": flag("Whether it rests."),
    "schedule": text("The expression."),
    "timezone": text("Zone of the wall clock."),
    "nextRun?": instant("Missing where there is no further run, or it is paused."),
    "lastRun?": instant("The newest run."),
    "queue": text("The queue that it pushes to."),
    "target": _TARGET,
    "type": _METHOD,
    **_PAYLOAD,
    "retry?": ref("RetryPolicy"),
    "timeout?": count("ms for one attempt.", 1),
    "maxAge?": count("ms after the due time beyond which no attempt starts.", 1),
    "priority?": whole(1, 9, "Missing where it is 0."),
    "eventType?": text("Passed on as `x-lq-event-type`."),
    **_OWN_OPTIONS,
    "startsAt?": instant("No run before."),
    "endsAt?": instant("No run after."),
    "maxRuns?": count("It ends after so many.", 1),
    "jitter?": count("ms by which chance makes items due later; missing where it is 0.", 1),
    "misfire?": choice(("skip", "all"), "Missing where it is `once`."),
    "overlap?": choice(("skip",), "Missing where it is `allow`."),
}

ITEM_ANSWERS: Mapping[str, Schema] = {
    "Item": record(
        {**_ITEM, **{f"{name.removesuffix('?')}?": schema for name, schema in _END.items()}},
        "An item; once it has ended with its end, as its entry in history has it.",
    ),
    "Entry": record({**_ITEM, **_END}, "An item that has ended."),
    "Items": record({"items": listed(ref("Item"))}, "The items of a batch, in order."),
    "ItemPage": page_of("items", ref("Item")),
    "EntryPage": page_of("entries", ref("Entry")),
    "RunPage": page_of("entries", ref("Item")),
    "Attempt": record(
        {
            "attempt": count("Its number, from 1.", 1),
            "startedAt": instant("When it began."),
            "durationMs": count("How long it took."),
            "status?": whole(100, 999, "The answer's status, if one came."),
            "error?": text("`<class>: <text>`, if it failed."),
        },
        "One call of the target that has ended.",
    ),
    "Result": record(
        {
            "status?": whole(100, 999, "The answer's status."),
            "contentType?": text("Its media type."),
            "body": text("What is kept of its body."),
            "bodyEncoding": choice(("text", "base64"), "How `body` is written."),
            "truncated": flag("Whether there was more."),
        },
        "The target's last answer.",
    ),
    "CallbackResult": record(
        {
            "status": choice(("success", "fail")),
            "summary?": text("A line for people."),
            "state?": {"description": "Any JSON value."},
            "error?": either({"type": "string"}, {"type": "object"}),
            "correlationId?": text("An id of the service's."),
        },
        "What its service said when it ended it.",
    ),
    "Replayed": record(
        {
            "replayed": count("Items that were pushed."),
            "more": flag("Whether there are more: send the same with `cursor`."),
            "lastDueAt?": instant("When the last of them is due, of those spread by a rate."),
            "nextCursor?": text("Where to go on."),
        }
    ),
    "Schedule": record(_SCHEDULE, "A schedule, with the options that were given."),
    "SchedulePage": page_of("schedules", ref("Schedule")),
    "Preview": record({"next": listed(instant(), "The next runs, fewer when no more come.")}),
    "MessageId": record({"id": text("The item's id.", pattern=f"^{JOB_ID.pattern}$")}),
    "Timer": record(
        {
            "id": text("As in the path."),
            "shardId": text("As it was given."),
            "timeShardId": text("The minute of the first run, and the id."),
            "timerCallbackData": {"description": "The body of its jobs, any JSON."},
        }
    ),
}
