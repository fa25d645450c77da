"""Operations on queues and their history."""

from __future__ import annotations

from typing import Any

from api.history_schemas import ExportQuery, HistoryQuery
from api.openapi.item_operations import ITEM, REPLAYED
from api.openapi.operations import Answer, Operation, answered, json_body
from api.openapi.parameters import IDEMPOTENCY_KEY, query_of
from api.schemas import ListQuery
from lambdaqueue.identity import Scope

__all__ = ["QUEUE_OPERATIONS"]

TAG = "Queues"
HISTORY = "History"

_RETRY = {
    "type": "list",
    "delay": 10_000,
    "retries": 3,
    "jitter": 0.1,
    "delays": [1_000, 5_000, 60_000],
}
QUEUE: dict[str, Any] = {
    "name": "mail",
    "paused": False,
    "waiting": 0,
    "running": 0,
    "completed": 0,
    "failed": 0,
    "cancelled": 0,
    "target": "http://127.0.0.1:9000/mail",
    "retry": _RETRY,
    "timeout": 10_000,
    "successStatus": "200-299",
    "historyLimit": 10_000,
    "failedLimit": 10_000,
    "historyDays": 30,
    "resultBytes": 4_096,
    "validation": "required",
    "ordered": False,
}
_NOTHING: dict[str, Any] = {"completed": 0, "failed": 0, "cancelled": 0, "byClass": {}}
SETTINGS = {
    "target": "http://127.0.0.1:9000/mail",
    "timeout": 10_000,
    "retry": {"type": "list", "delays": [1_000, 5_000, 60_000], "retries": 3},
}
_ERROR = "http_410: the endpoint answered 410"
ENTRY: dict[str, Any] = {
    **ITEM,
    "state": "FAILED",
    "attempt": 1,
    "error": _ERROR,
    "lastAttempt": {
        "attempt": 1,
        "startedAt": "2026-11-21T09:46:57.012Z",
        "durationMs": 3,
        "status": 410,
        "error": _ERROR,
    },
    "entry": "f1795254417017-0",
    "endedAt": "2026-11-21T09:46:57.016Z",
    "attempts": [
        {
            "attempt": 1,
            "startedAt": "2026-11-21T09:46:57.012Z",
            "durationMs": 3,
            "status": 410,
            "error": _ERROR,
        }
    ],
    "result": {"status": 410, "body": "ok", "bodyEncoding": "text", "truncated": False},
}
REPEATED = {**ITEM, "id": "0mwq8aaaa00001", "replayOf": ITEM["id"]}
del REPEATED["key"]

_QUEUES = (
    Operation(
        "listQueues",
        "GET /queues",
        TAG,
        "List the queues",
        Scope.READ,
        {200: answered("QueuePage", "By name.", {"queues": [QUEUE]})},
        about="Also with a slash at the end.",
        parameters=query_of(ListQuery()),
        problems=(422,),
    ),
    Operation(
        "getQueue",
        "GET /queues/{queue}",
        TAG,
        "Read a queue",
        Scope.READ,
        {
            200: answered(
                "QueueWithStats",
                "The queue, its last hour and day, and targets in trouble.",
                {**QUEUE, "lastHour": _NOTHING, "today": _NOTHING, "endpoints": []},
            )
        },
        about="404 where nothing was ever pushed or set.",
        problems=(404, 422),
    ),
    Operation(
        "replaceQueueSettings",
        "PUT /queues/{queue}",
        TAG,
        "Set a queue up",
        Scope.MANAGE,
        {200: answered("Queue", "Settings that weren't named have their defaults.", QUEUE)},
        body=json_body("QueueSettings", SETTINGS),
        problems=(413, 415, 422),
    ),
    Operation(
        "changeQueueSettings",
        "PATCH /queues/{queue}",
        TAG,
        "Change a queue's settings",
        Scope.MANAGE,
        {200: answered("Queue", "Settings that weren't named are as before.", QUEUE)},
        about="null sets one back to its default.",
        body=json_body("QueueSettings", SETTINGS),
        problems=(413, 415, 422),
    ),
    Operation(
        "deleteQueue",
        "DELETE /queues/{queue}",
        TAG,
        "Forget a queue with its history",
        Scope.MANAGE,
        {204: Answer("It is forgotten.")},
        about="409 while items wait or run.",
        problems=(404, 409, 422),
    ),
    Operation(
        "pauseQueue",
        "POST /queues/{queue}/pause",
        TAG,
        "Pause a queue",
        Scope.MANAGE,
        {200: answered("Queue", "No further attempt starts.", {**QUEUE, "paused": True})},
        about="What is out goes on, and pushes are taken.",
        problems=(422,),
    ),
    Operation(
        "resumeQueue",
        "POST /queues/{queue}/resume",
        TAG,
        "Resume a queue",
        Scope.MANAGE,
        {200: answered("Queue", "It goes on.", QUEUE)},
        problems=(422,),
    ),
    Operation(
        "purgeQueue",
        "POST /queues/{queue}/purge",
        TAG,
        "Delete what waits, or history of one state",
        Scope.MANAGE,
        {200: answered("Purged", "What was deleted.", {"purged": 42, "more": False})},
        about="Items leave no entry in history. While `more` is true, send it again.",
        body=json_body("Purge", {"state": "RETRY"}, required=False),
        problems=(404, 413, 415, 422),
    ),
    Operation(
        "getQueueSecret",
        "GET /queues/{queue}/secret",
        TAG,
        "Show a queue's own secret",
        Scope.MANAGE,
        {
            200: answered(
                "QueueSecret",
                "It signs where `validation` is `none`; made on first use.",
                {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
                "Cache-Control",
            )
        },
        problems=(404, 422),
    ),
)

_HISTORY = (
    Operation(
        "listHistory",
        "GET /queues/{queue}/history",
        HISTORY,
        "List what has ended",
        Scope.READ,
        {
            200: answered(
                "EntryPage",
                "Newest first.",
                {"entries": [ENTRY], "nextCursor": "1795254417017-0-f"},
            )
        },
        parameters=query_of(HistoryQuery()),
        problems=(422,),
    ),
    Operation(
        "exportHistory",
        "GET /queues/{queue}/history.jsonl",
        HISTORY,
        "Take all of it along",
        Scope.READ,
        {
            200: Answer(
                "JSON lines, an `Entry` each, newest first.",
                {"type": "string"},
                media="application/x-ndjson",
                headers=("Content-Disposition",),
            )
        },
        parameters=query_of(ExportQuery()),
        problems=(422,),
    ),
    Operation(
        "replayEntry",
        "POST /queues/{queue}/history/{entry}/replay",
        HISTORY,
        "Push an ended item again",
        Scope.MANAGE,
        {201: answered("Item", "A new item, due now.", REPEATED, REPLAYED)},
        about="409 for a COMPLETED one, whose payload isn't kept, and for an execution.",
        parameters=(IDEMPOTENCY_KEY,),
        body=json_body("Replay", {"target": "http://127.0.0.1:9000/welcome"}, required=False),
        problems=(404, 409, 413, 415, 422),
    ),
    Operation(
        "replayHistory",
        "POST /queues/{queue}/history/replay",
        HISTORY,
        "Push many ended items again",
        Scope.MANAGE,
        {
            201: answered(
                "Replayed",
                "What was pushed, newest first.",
                {
                    "replayed": 1000,
                    "more": True,
                    "lastDueAt": "2026-11-21T15:31:39.900Z",
                    "nextCursor": "1795254417017-0-f.1795275100000",
                },
                REPLAYED,
            )
        },
        about="While `more` is true, send the same with `cursor`. Send an `Idempotency-Key`: "
        "without it a repeat pushes them again.",
        parameters=(IDEMPOTENCY_KEY,),
        body=json_body(
            "Replays",
            {"since": "2026-11-21T08:00:00Z", "rate": {"limit": 10, "period": 1_000}},
            required=False,
        ),
        problems=(404, 409, 413, 415, 422),
    ),
)

QUEUE_OPERATIONS: tuple[Operation, ...] = (*_QUEUES, *_HISTORY)
