"""Every route of the API: the scope that opens it, and a request that succeeds in front of objects.

`test_routes.py` holds this table against the app's own map: a route that is missing here fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask

from api.admin.headers import is_panel
from lambdaqueue.identity import Scope
from tests.api.conftest import TARGET

__all__ = ["OPEN", "ROUTES", "Route", "path_of", "routes_of"]

OPEN = frozenset(
    {
        "GET /",
        "GET /docs",
        "GET /docs/docs.css",
        "GET /health",
        "GET /metrics",
        "GET /ready",
        "GET /api/v1/openapi.json",
        "POST /api/v1/callback/<token>",
    }
)
"""Routes for which no token is asked; a callback brings one of its own in its path."""

ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")

PUSH: Mapping[str, Any] = {
    "data": b"1",
    "headers": {"Content-Type": "application/json", "x-lq-target": TARGET},
}


@dataclass(frozen=True)
class Route:
    """Who may ask, what to send, and the status where the objects of the path are one's own."""

    scope: Scope
    status: int = 200
    request: Mapping[str, Any] = field(default_factory=dict)


def _json(value: object) -> Mapping[str, Any]:
    return {"json": value}


SCHEDULE = {"queue": "wages", "schedule": "@daily", "target": TARGET}
SCHEDULE_HEADERS = {"x-lq-queue": "wages", "x-lq-schedule": "@daily", "x-lq-target": TARGET}

_SCHEDULES: Mapping[str, Route] = {
    "POST /api/v1/schedules": Route(
        Scope.PUSH,
        201,
        {"data": b"1", "headers": {"Content-Type": "text/plain", **SCHEDULE_HEADERS}},
    ),
    "PUT /api/v1/schedules/byKey/<schedule_key:key>": Route(Scope.PUSH, 200, _json(SCHEDULE)),
    "GET /api/v1/schedules": Route(Scope.READ),
    "GET /api/v1/schedules/preview": Route(
        Scope.READ, 200, {"query_string": {"schedule": "@daily", "from": "0"}}
    ),
    **{
        f"{method} /api/v1/schedules/{one}{rest}": Route(scope, status, request)
        for one in ("<schedule_id>", "byKey/<schedule_key:key>")
        for method, rest, scope, status, request in (
            ("GET", "", Scope.READ, 200, {}),
            ("PATCH", "", Scope.PUSH, 200, _json({"jitter": 1})),
            ("DELETE", "", Scope.PUSH, 200, {}),
            ("POST", "/pause", Scope.PUSH, 200, {}),
            ("POST", "/resume", Scope.PUSH, 200, {}),
            ("POST", "/run", Scope.PUSH, 201, {}),
            ("GET", "/history", Scope.READ, 200, {}),
        )
    },
}

_TIMERS: Mapping[str, Route] = {
    f"{method} /api/v1/{kind}/<key:timer_id>": Route(scope, 200, request)
    for kind, wanted in (("periodic", {"target": TARGET}), ("timers", {"delay": 60_000}))
    for method, scope, request in (
        ("PUT", Scope.PUSH, _json(wanted)),
        ("GET", Scope.READ, {}),
        ("DELETE", Scope.PUSH, {}),
    )
}

SERVICE_JOB = {
    "async": True,
    "invocation_target": TARGET,
    "schedule": "rate(1 day)",
    "ttl_seconds": 600,
}

_SERVICES: Mapping[str, Route] = {
    f"{method} /api/v1/{path}": Route(scope, status, request)
    for method, path, scope, status, request in (
        ("PUT", "services/<service>/jobs/<job>", Scope.PUSH, 200, _json(SERVICE_JOB)),
        ("GET", "services/<service>/jobs/<job>", Scope.READ, 200, {}),
        ("DELETE", "services/<service>/jobs/<job>", Scope.PUSH, 204, {}),
        ("GET", "services/<service>/jobs", Scope.READ, 200, {}),
        ("POST", "services/<service>/jobs/<job>/run", Scope.PUSH, 202, {}),
        ("POST", "services/<service>/jobs/<job>/test", Scope.PUSH, 202, {}),
        ("GET", "executions/<name>", Scope.READ, 200, {}),
        ("POST", "executions/<name>/cancel", Scope.PUSH, 200, {}),
        # It's unfinished; one without an execution of that name is told so.
        ("POST", "executions/<name>/retry", Scope.PUSH, 409, {}),
        *(
            (method, path, Scope.READ, 200, _json({}) if method == "POST" else {})
            for method in ("GET", "POST")
            for path in (
                "jobs",
                "executions",
                "services/<service>/executions",
                "services/<service>/jobs/<job>/executions",
            )
        ),
    )
}

ROUTES: Mapping[str, Route] = {
    **_SCHEDULES,
    **_TIMERS,
    **_SERVICES,
    "POST /api/v1/messages": Route(Scope.PUSH, 202, _json({"payload": 1, "url": TARGET})),
    "POST /api/v1/queues/<queue:queue>/items": Route(Scope.PUSH, 201, PUSH),
    "POST /api/v1/queues/<queue:queue>/items/batch": Route(
        Scope.PUSH, 201, _json({"items": [{"payload": 1, "target": TARGET}]})
    ),
    "GET /api/v1/queues/<queue:queue>/items": Route(Scope.READ),
    "GET /api/v1/items/<item_id>": Route(Scope.READ),
    "PATCH /api/v1/items/<item_id>": Route(Scope.PUSH, 200, _json({"payload": 2})),
    "DELETE /api/v1/items/<item_id>": Route(Scope.PUSH),
    "POST /api/v1/items/<item_id>/run": Route(Scope.PUSH),
    "GET /api/v1/queues/<queue:queue>/items/byKey/<key:key>": Route(Scope.READ),
    "PATCH /api/v1/queues/<queue:queue>/items/byKey/<key:key>": Route(
        Scope.PUSH, 200, _json({"payload": 2})
    ),
    "DELETE /api/v1/queues/<queue:queue>/items/byKey/<key:key>": Route(Scope.PUSH),
    "GET /api/v1/queues": Route(Scope.READ),
    "GET /api/v1/queues/": Route(Scope.READ),
    "GET /api/v1/queues/<queue:queue>": Route(Scope.READ),
    "PUT /api/v1/queues/<queue:queue>": Route(Scope.MANAGE, 200, _json({"timeout": 5_000})),
    "PATCH /api/v1/queues/<queue:queue>": Route(Scope.MANAGE, 200, _json({"timeout": 5_000})),
    # Items wait in it; one without queues of that name is told so.
    "DELETE /api/v1/queues/<queue:queue>": Route(Scope.MANAGE, 409),
    "POST /api/v1/queues/<queue:queue>/pause": Route(Scope.MANAGE),
    "POST /api/v1/queues/<queue:queue>/resume": Route(Scope.MANAGE),
    "POST /api/v1/queues/<queue:queue>/purge": Route(Scope.MANAGE),
    "GET /api/v1/queues/<queue:queue>/secret": Route(Scope.MANAGE),
    "GET /api/v1/queues/<queue:queue>/history": Route(Scope.READ),
    "GET /api/v1/queues/<queue:queue>/history.jsonl": Route(Scope.READ),
    "POST /api/v1/queues/<queue:queue>/history/<entry>/replay": Route(Scope.MANAGE, 201),
    "POST /api/v1/queues/<queue:queue>/history/replay": Route(Scope.MANAGE, 201),
    "POST /api/v1/tokens": Route(Scope.MANAGE, 201, _json({"name": "x", "scopes": ["push"]})),
    "GET /api/v1/tokens": Route(Scope.MANAGE),
    "DELETE /api/v1/tokens/<token_id>": Route(Scope.MANAGE, 204),
    "GET /api/v1/environment": Route(Scope.MANAGE),
    "PATCH /api/v1/environment": Route(Scope.MANAGE, 200, _json({"retry": {"retries": 1}})),
    "GET /api/v1/secret": Route(Scope.MANAGE),
    "POST /api/v1/secret/rotate": Route(Scope.MANAGE),
    "GET /api/v1/audit": Route(Scope.MANAGE),
}


def routes_of(app: Flask) -> set[str]:
    """Return the routes that `app` has, named as in `ROUTES`."""
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if not is_panel(rule.rule)  # tests/api/admin/routes.py has those
        for method in (rule.methods or set()) - {"HEAD"}
    }


def path_of(name: str, objects: Mapping[str, str]) -> tuple[str, str]:
    """Return method and path of the route `name`, its arguments taken from `objects`."""
    method, _, rule = name.partition(" ")
    return method, ARGUMENT.sub(lambda found: objects[found[1]], rule)
