"""Service jobs over HTTP, and the part that workers have in them."""

from __future__ import annotations

from typing import Any

import redis
from werkzeug.test import TestResponse

from lambdaqueue import keys
from lambdaqueue.attempts import AttemptStore, Kind, Settlement
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.connection import Scripts
from tests.api.conftest import TARGET, Api
from tests.store.world import ImmediateScripts, at_once

__all__ = ["ENV", "JOB", "Crew", "body_of", "call_back", "define", "definition", "run"]

ENV = keys.DEFAULT_ENVIRONMENT
JOB = "/services/billing/jobs/close-month"


def definition(**more: Any) -> dict[str, Any]:
    """The body of a PUT with what it needs, and `more`; a field that is `...` is left out."""
    fields = {
        "async": True,
        "invocation_target": TARGET,
        "schedule": "rate(5 minutes)",
        "ttl_seconds": 600,
        **more,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def define(api: Api, service: str = "billing", job: str = "close-month", **more: Any) -> Any:
    """PUT a service job; return what was answered."""
    return body_of(api("PUT", f"/services/{service}/jobs/{job}", json=definition(**more)))


def run(api: Api, service: str = "billing", job: str = "close-month") -> str:
    """Start an execution; return its name."""
    started = body_of(api("POST", f"/services/{service}/jobs/{job}/run"), 202)
    return str(started["name"])


def call_back(api: Api, token: str, **body: Any) -> TestResponse:
    """Send a callback as a service does: with nothing but its token."""
    return api.raw("POST", f"/api/v1/callback/{token}", json=body)


def body_of(response: TestResponse, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json


class Crew:
    """A worker whose calls return at once, by Redis' own clock."""

    def __init__(self, client: redis.Redis) -> None:
        self.store = AttemptStore(client, rq_worker="worker-1", slots=1_000)  # type: ignore[arg-type]
        self.store._scripts = ImmediateScripts(Scripts(client))  # type: ignore[assignment]
        at_once(self.store.join())

    def start(self, name: str) -> str:
        """Invoke the only job that is ready, and have it taken; return its callback token."""
        token = self.invoke(name)
        assert self.answer(Kind.STARTED)
        return token

    def invoke(self, name: str) -> str:
        """Do the same, but leave its answer open."""
        assert self.take() == name
        token = CallbackToken.mint(name)
        assert at_once(self.store.register(self.claim, token.digest)) is not None
        return token.text

    def take(self) -> str:
        """Claim the only job that is ready; return its id."""
        (self.claim,) = at_once(self.store.claim(10)).claims
        return self.claim.id

    def answer(self, kind: Kind, **more: Any) -> bool:
        """Settle the attempt; False where it is no longer the worker's."""
        (accepted,) = at_once(self.store.settle([Settlement(self.claim, kind, **more)]))
        return accepted
