"""Operations on schedules and timers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.openapi.item_operations import ANY_PAYLOAD, ITEM, REPLAYED
from api.openapi.operations import Answer, Body, Operation, answered, json_body
from api.openapi.parameters import IDEMPOTENCY_KEY, SCHEDULE_HEADERS, query_of
from api.openapi.vocabulary import ref
from api.schemas import PreviewQuery, RunsQuery, SchedulesQuery
from lambdaqueue.identity import Scope
from lambdaqueue.reading.schedule_orders import AS_JSON

__all__ = ["SCHEDULE_OPERATIONS"]

TAG = "Schedules"

SCHEDULE: dict[str, Any] = {
    "id": "0mwqfwdyexac1pct",
    "key": "daily-report",
    "created": "2026-11-21T13:24:30.758Z",
    "paused": False,
    "schedule": "0 9 * * 1-5",
    "timezone": "Europe/Warsaw",
    "nextRun": "2026-11-23T08:00:00.000Z",
    "queue": "reports",
    "target": {"url": "http://127.0.0.1:9000/report", "method": "POST"},
    "type": "HTTP",
    "payloadType": "application/json",
    "payloadEncoding": "json",
    "payload": {"report": "daily"},
}
_PAUSED = {name: value for name, value in SCHEDULE.items() if name != "nextRun"} | {"paused": True}
_RUN = {
    **ITEM,
    "queue": "reports",
    "scheduleId": SCHEDULE["id"],
    "occurrence": f"{SCHEDULE['id']}_1795273809723",
}
del _RUN["key"]

_SET = (
    Operation(
        "createSchedule",
        "POST /schedules",
        TAG,
        "Set a schedule",
        Scope.PUSH,
        {
            201: answered("Schedule", "A new schedule.", SCHEDULE, REPLAYED),
            200: answered("Schedule", "The one with this key is as asked.", SCHEDULE, REPLAYED),
        },
        about="The body of the request is the payload of each item; `x-lq-queue` and "
        f"`x-lq-schedule` are needed then. Of the type `{AS_JSON}` it is the whole schedule, and "
        "the headers mean nothing.",
        parameters=(*SCHEDULE_HEADERS, IDEMPOTENCY_KEY),
        body=Body({**ANY_PAYLOAD, AS_JSON: ref("ScheduleRequest")}, {"report": "daily"}),
        problems=(409, 413, 415, 422),
        given={
            "x-lq-queue": "reports",
            "x-lq-schedule": "0 9 * * 1-5",
            "x-lq-tz": "Europe/Warsaw",
            "x-lq-target": "http://127.0.0.1:9000/report",
            "x-lq-key": "daily-report",
        },
    ),
    Operation(
        "putSchedule",
        "PUT /schedules/byKey/{key}",
        TAG,
        "Set a schedule by its key",
        Scope.PUSH,
        {
            201: answered("Schedule", "A new schedule.", SCHEDULE, REPLAYED),
            200: answered("Schedule", "The one with this key is as asked.", SCHEDULE, REPLAYED),
        },
        about="One that is there as it's asked for doesn't change at all: set it at every start.",
        parameters=(IDEMPOTENCY_KEY,),
        body=json_body(
            "ScheduleRequest",
            {
                "queue": "beats",
                "schedule": "every(10s)",
                "target": "http://127.0.0.1:9000/beat",
                "payload": {"alive": True},
                "overlap": "skip",
            },
        ),
        problems=(409, 413, 415, 422),
    ),
    Operation(
        "listSchedules",
        "GET /schedules",
        TAG,
        "List the schedules",
        Scope.READ,
        {200: answered("SchedulePage", "In the order of their making.", {"schedules": [SCHEDULE]})},
        parameters=query_of(SchedulesQuery()),
        problems=(422,),
    ),
    Operation(
        "previewSchedule",
        "GET /schedules/preview",
        TAG,
        "Tell the next runs of an expression",
        Scope.READ,
        {
            200: answered(
                "Preview",
                "The runs after `from`, fewer when there are no more.",
                {"next": ["2026-11-23T08:00:00.000Z", "2026-11-24T08:00:00.000Z"]},
            )
        },
        parameters=query_of(PreviewQuery()),
        problems=(422,),
        given={"schedule": "0 9 * * 1-5", "tz": "Europe/Warsaw", "count": "2"},
    ),
)


def _of_one(path: str, suffix: str, told: str) -> Iterator[Operation]:
    """Yield what can be done with a schedule that is there, named in one of two ways."""
    yield Operation(
        f"getSchedule{suffix}",
        f"GET {path}",
        TAG,
        f"Read a schedule{told}",
        Scope.READ,
        {200: answered("Schedule", "The schedule.", SCHEDULE)},
        problems=(404,),
    )
    yield Operation(
        f"changeSchedule{suffix}",
        f"PATCH {path}",
        TAG,
        f"Change a schedule{told}",
        Scope.PUSH,
        {200: answered("Schedule", "The schedule as it is now.", SCHEDULE)},
        about="About future items. Only another expression, zone or `startsAt` moves the phase. "
        "null takes an option away.",
        body=json_body("ScheduleChange", {"schedule": "0 8 * * 1-5", "misfire": "skip"}),
        problems=(404, 413, 415, 422),
    )
    yield Operation(
        f"deleteSchedule{suffix}",
        f"DELETE {path}",
        TAG,
        f"Delete a schedule{told}",
        Scope.PUSH,
        {200: answered("Schedule", "What it was; items that it pushed go on.", SCHEDULE)},
        problems=(404,),
    )


def _of_one_at_work(path: str, suffix: str, told: str) -> Iterator[Operation]:
    """Yield what can be done with the runs of a schedule."""
    for verb, about, shown in (
        ("pause", "It doesn't run.", _PAUSED),
        ("resume", "What was missed in between isn't made up for.", SCHEDULE),
    ):
        yield Operation(
            f"{verb}Schedule{suffix}",
            f"POST {path}/{verb}",
            TAG,
            f"{verb.capitalize()} a schedule{told}",
            Scope.PUSH,
            {200: answered("Schedule", about, shown)},
            problems=(404,),
        )
    yield Operation(
        f"runSchedule{suffix}",
        f"POST {path}/run",
        TAG,
        f"Push one item of a schedule now{told}",
        Scope.PUSH,
        {201: answered("Item", "The item; the next run stays.", _RUN, REPLAYED)},
        about="409 where `overlap` forbids it.",
        parameters=(IDEMPOTENCY_KEY,),
        problems=(404, 409, 422),
    )
    yield Operation(
        f"listRuns{suffix}",
        f"GET {path}/history",
        TAG,
        f"List what a schedule has pushed{told}",
        Scope.READ,
        {200: answered("RunPage", "Newest run first; those that wait, too.", {"entries": [_RUN]})},
        parameters=query_of(RunsQuery()),
        problems=(404, 422),
    )


_NAMED = tuple(
    operation
    for path, suffix, told in (
        ("/schedules/{id}", "", ""),
        ("/schedules/byKey/{key}", "ByKey", " by its key"),
    )
    for some in (_of_one, _of_one_at_work)
    for operation in some(path, suffix, told)
)

PERIODIC = {
    "id": "invoices",
    "shardId": "shard0",
    "timeShardId": "15:invoices",
    "timerCallbackData": {"job": "invoices"},
}
ONCE = {
    "id": "reminder-7",
    "shardId": "shard0",
    "timeShardId": "47:reminder-7",
    "timerCallbackData": {"id": "reminder-7", "type": "timer"},
}


def _timers(kind: str, name: str, what: str, *, shown: Any, body: Body) -> Iterator[Operation]:
    path = f"/{kind}/{{id}}"
    yield Operation(
        f"set{name}",
        f"PUT {path}",
        "Timers",
        f"Set a timer that runs {what}",
        Scope.PUSH,
        {200: answered("Timer", "The timer.", shown)},
        body=body,
        problems=(413, 415, 422),
    )
    absent = Answer("There is no such timer: its id.", {"type": "string"}, shown["id"])
    yield Operation(
        f"get{name}",
        f"GET {path}",
        "Timers",
        f"Read a timer that runs {what}",
        Scope.READ,
        {200: answered("Timer", "The timer.", shown), 404: absent},
    )
    yield Operation(
        f"delete{name}",
        f"DELETE {path}",
        "Timers",
        f"Delete a timer that runs {what}",
        Scope.PUSH,
        {200: Answer("Its id, also when there was none.", {"type": "string"}, shown["id"])},
    )


_PERIODIC_BODY = json_body(
    "PeriodicTimer",
    {
        "minuteOfHour": 15,
        "target": "http://127.0.0.1:9000/invoices",
        "timerCallbackData": {"job": "invoices"},
    },
    required=False,
)
_ONCE_BODY = json_body("OnceTimer", {"delay": 5_000, "target": "http://127.0.0.1:9000/reminder"})

SCHEDULE_OPERATIONS: tuple[Operation, ...] = (
    *_SET,
    *_NAMED,
    *_timers("periodic", "PeriodicTimer", "again and again", shown=PERIODIC, body=_PERIODIC_BODY),
    *_timers("timers", "OnceTimer", "once", shown=ONCE, body=_ONCE_BODY),
)
