"""What takes the scope `manage` is told of by the script that changes it; the rest is not told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask

from lambdaqueue import keys
from lambdaqueue.identity import Scope
from tests.api.conftest import Api
from tests.api.routes import ROUTES, path_of
from tests.api.steps import Told, silent, told, watched
from tests.api.test_routes import objects_of

Q = "/api/v1/queues/<queue:queue>"
LOOKS = {f"GET {path}" for path in ("/api/v1/tokens", "/api/v1/environment", "/api/v1/audit")}

# In this order: what is waiting is purged, and the queue deleted, at the end.
ENTRIES: Mapping[str, Told] = {
    f"PUT {Q}": ("queue.update", "{queue}"),
    f"PATCH {Q}": ("queue.update", "{queue}"),
    f"POST {Q}/pause": ("queue.pause", "{queue}"),
    f"POST {Q}/resume": ("queue.resume", "{queue}"),
    f"GET {Q}/secret": ("secret.read", "{queue}"),
    f"POST {Q}/history/<entry>/replay": ("queue.replay", "{queue} {entry}"),
    f"POST {Q}/history/replay": ("queue.replay", "{queue} CANCELLED"),
    "POST /api/v1/tokens": ("token.create", "x"),
    "DELETE /api/v1/tokens/<token_id>": ("token.revoke", "a token of mine"),
    "PATCH /api/v1/environment": ("environment.update", "default"),
    "GET /api/v1/secret": ("secret.read", "secret"),
    "POST /api/v1/secret/rotate": ("secret.rotate", "default"),
    f"POST {Q}/purge": ("queue.purge", "{queue} waiting"),
    f"DELETE {Q}": ("queue.delete", "{queue}"),
}

REQUESTS: Mapping[str, Mapping[str, Any]] = {
    f"POST {Q}/history/replay": {"json": {"state": "CANCELLED"}}
}


def test_every_route_that_manages_is_in_the_table() -> None:
    manage = {name for name, route in ROUTES.items() if route.scope is Scope.MANAGE}
    assert manage - LOOKS == ENTRIES.keys()


def test_every_change_has_its_entry(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the script that makes it, once."""
    objects = objects_of(api)
    for name, (action, thing) in ENTRIES.items():
        method, path = path_of(name, objects)
        with watched(monkeypatch, app, keys.DEFAULT_ENVIRONMENT) as steps:
            answer = api.raw(
                method, path, headers=bearer(api), **REQUESTS.get(name, ROUTES[name].request)
            )
        assert answer.status_code < 300, (name, answer.text)
        assert told(steps) == [(action, thing.format(**objects))], name
        # A queue's own secret is made when it's first asked for: nothing that anybody changed.
        assert [step for step in silent(steps) if step.name != "own_secret"] == [], name


def test_programs_that_push_leave_none(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do it all the time."""
    objects = objects_of(api)
    with watched(monkeypatch, app, keys.DEFAULT_ENVIRONMENT) as steps:
        for name in sorted(ROUTES, key=lambda name: name.startswith("DELETE ")):
            if ROUTES[name].scope is Scope.PUSH:
                request = {**ROUTES[name].request}
                request["headers"] = {**request.get("headers", {}), **bearer(api)}
                api.raw(*path_of(name, objects), **request)
    assert {step.name for step in steps} >= {
        "push", "change", "run_now", "cancel", "set_schedule", "fire", "drop_schedule",
        "start_execution",
    }  # fmt: skip
    assert told(steps) == []


def bearer(api: Api) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {api.token}"}
