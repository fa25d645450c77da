"""Operations on service jobs, their executions, and the callbacks that end these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.openapi.item_operations import REPLAYED
from api.openapi.operations import Answer, Operation, answered, json_body
from api.openapi.parameters import IDEMPOTENCY_KEY, query_of
from api.service_schemas import ExecutionQuery, JobSearch
from lambdaqueue.identity import Scope

__all__ = ["SERVICE_OPERATIONS"]

TAG = "Service jobs"
EXECUTIONS = "Executions"
JOB = "/services/{service}/jobs/{job}"

SERVICE_JOB: dict[str, Any] = {
    "async": True,
    "enabled": True,
    "exclusive": True,
    "guid": "9bfe381c-4d1f-5079-a075-1ce58135a8d4",
    "heartbeat_interval_seconds": 30,
    "invocation_target": "http://127.0.0.1:9000/report",
    "invocation_type": "http",
    "job_name": "report",
    "payload": None,
    "schedule": "cron(0 6 * * ? *)",
    "service_name": "shop",
    "ttl_seconds": 3_600,
}
_NAME = {"name": "0mwqjo94r00001"}
_ROW: dict[str, Any] = {
    **_NAME,
    "event": {
        "id": "shop/report_1795273809723",
        "time": "2026-11-21T15:10:09.723Z",
        "time_ms": 1_795_273_809_723,
    },
    "result": {
        "status": "success",
        "summary": "1 204 orders",
        "state": {"up_to": "2026-11-20"},
        "error": None,
        "correlation_id": None,
    },
    "updated_at": "2026-11-21T15:10:29.737Z",
    "inserted_at": "2026-11-21T15:10:09.723Z",
}
_PAGE: dict[str, Any] = {
    "count": 1,
    "since": 1_795_273_600_000,
    "paging": {},
    "results": [_ROW],
}
_EXECUTION: dict[str, Any] = {
    **_ROW,
    "result": None,
    "updated_at": "2026-11-21T15:10:15.746Z",
    "service_name": "shop",
    "job_name": "report",
    "queue": "services.shop",
    "schedule": "rate(1 minute)",
    "test": False,
    "status": "running",
    "progress": 30,
    "attempt": 1,
    "max_attempts": 6,
    "ttl_seconds": 300,
    "heartbeat_interval_seconds": 30,
    "started_at": "2026-11-21T15:10:09.731Z",
    "last_heartbeat_at": "2026-11-21T15:10:15.746Z",
    "ended_at": None,
    "error": None,
    "retry_of": None,
    "retried_by": None,
    "attempts": [
        {
            "attempt": 1,
            "started_at": "2026-11-21T15:10:09.723Z",
            "duration_ms": 7,
            "status": 202,
            "error": None,
        }
    ],
}

_JOBS = (
    Operation(
        "putServiceJob",
        f"PUT {JOB}",
        TAG,
        "Define a service job",
        Scope.PUSH,
        {200: answered("ServiceJob", "The definition.", SERVICE_JOB)},
        about="Set it at every start: what is there already doesn't change. A name or a schedule "
        "that can be none: 400.",
        body=json_body(
            "ServiceJobRequest",
            {
                "async": True,
                "invocation_target": "http://127.0.0.1:9000/report",
                "schedule": "cron(0 6 * * ? *)",
                "ttl_seconds": 3_600,
                "exclusive": True,
            },
        ),
        problems=(413, 415, 422),
    ),
    Operation(
        "getServiceJob",
        f"GET {JOB}",
        TAG,
        "Read a service job",
        Scope.READ,
        {200: answered("ServiceJob", "The definition.", SERVICE_JOB)},
        problems=(404,),
    ),
    Operation(
        "deleteServiceJob",
        f"DELETE {JOB}",
        TAG,
        "Delete a service job",
        Scope.PUSH,
        {204: Answer("It runs no more; executions under way go on.")},
        problems=(404,),
    ),
    Operation(
        "listServiceJobs",
        "GET /services/{service}/jobs",
        TAG,
        "List a service's jobs",
        Scope.READ,
        {200: answered("ServiceJobs", "By name.", [SERVICE_JOB])},
    ),
    Operation(
        "runServiceJob",
        f"POST {JOB}/run",
        TAG,
        "Start an execution now",
        Scope.PUSH,
        {202: answered("ExecutionName", "It is stored.", _NAME, REPLAYED)},
        about="409 where the job is disabled.",
        parameters=(IDEMPOTENCY_KEY,),
        problems=(404, 409, 422),
    ),
    Operation(
        "testServiceJob",
        f"POST {JOB}/test",
        TAG,
        "Validate the target, and send it a marked webhook",
        Scope.PUSH,
        {202: answered("ExecutionName", "It is stored.", _NAME, REPLAYED)},
        about="It is no run: not among the executions, without lock, leaving no state.",
        parameters=(IDEMPOTENCY_KEY,),
        problems=(404, 409, 422),
    ),
)


def _searches() -> Iterator[Operation]:
    """Yield every search, by the query of a GET and by the body of a POST, which wins."""
    found = answered("FoundJobs", "By service and name.", {"results": [SERVICE_JOB]})
    yield from _search("searchServiceJobs", "/jobs", "Search service jobs", found)
    page = answered("ExecutionPage", "Oldest first, at most 100.", _PAGE)
    for name, path, summary in (
        ("searchExecutions", "/executions", "Search executions"),
        ("searchOfService", "/services/{service}/executions", "Search a service's executions"),
        ("searchOfServiceJob", f"{JOB}/executions", "Search a service job's executions"),
    ):
        yield from _search(name, path, summary, page)


def _search(name: str, path: str, summary: str, found: Answer) -> Iterator[Operation]:
    jobs = path == "/jobs"
    query = query_of(JobSearch() if jobs else ExecutionQuery())
    told = "Unequal numbers of names, or jobs without services: 400."
    tag = TAG if jobs else EXECUTIONS
    yield Operation(
        name,
        f"GET {path}",
        tag,
        summary,
        Scope.READ,
        {200: found},
        about=told,
        parameters=query,
        problems=(422,),
    )
    named = {"service_name": "shop", "job_name": "report"}
    body = {"since": _PAGE["since"]} if "{service}" in path else named
    yield Operation(
        f"{name}ByBody",
        f"POST {path}",
        tag,
        f"{summary}, asked for in a body",
        Scope.READ,
        {200: found},
        about=f"Where query and body name a field, the body counts; null is not given. {told}",
        parameters=query,
        body=json_body("JobSearch" if jobs else "ExecutionSearch", body, required=False),
        problems=(413, 415, 422),
    )


_EXECUTIONS = (
    Operation(
        "getExecution",
        "GET /executions/{name}",
        EXECUTIONS,
        "Read an execution",
        Scope.READ,
        {200: answered("Execution", "All that is known of it.", _EXECUTION)},
        about="Also an async item, by its id.",
        problems=(404,),
    ),
    Operation(
        "cancelExecution",
        "POST /executions/{name}/cancel",
        EXECUTIONS,
        "End an execution",
        Scope.PUSH,
        {200: answered("Execution", "It has ended; its lock is free.", _EXECUTION)},
        about="409 where it has ended.",
        problems=(404, 409),
    ),
    Operation(
        "retryExecution",
        "POST /executions/{name}/retry",
        EXECUTIONS,
        "Start the same execution again",
        Scope.PUSH,
        {202: answered("ExecutionName", "The new one.", _NAME, REPLAYED)},
        about="409 while it is unfinished, or the job is disabled.",
        parameters=(IDEMPOTENCY_KEY,),
        problems=(404, 409, 422),
    ),
    Operation(
        "callBack",
        "POST /callback/{token}",
        "Callbacks",
        "Say that an execution goes on, or end it",
        None,
        {
            200: answered("Heard", "It has ended.", {"status": "success"}),
            204: Answer("A heartbeat."),
        },
        about="The token in the path is all that is needed. The same end again gets 200 again, "
        "another one 410.",
        body=json_body(
            "Callback",
            {"status": "success", "summary": "1 204 orders", "state": {"up_to": "2026-11-20"}},
        ),
        problems=(404, 406, 410, 413, 415, 422, 429, 503),
    ),
)

SERVICE_OPERATIONS: tuple[Operation, ...] = (*_JOBS, *_searches(), *_EXECUTIONS)
