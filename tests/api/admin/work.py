"""What workers do with the jobs that the panel shows: each due one has an attempt that ends."""

from __future__ import annotations

from flask import Flask

from lambdaqueue.attempt_log import Attempt, extend_log
from lambdaqueue.attempts import Kind
from lambdaqueue.job import Result
from tests.api.conftest import Api, parts_of
from tests.api.service_calls import Crew
from tests.store.world import at_once

__all__ = ["HOME", "attempt", "ended", "item"]

HOME = "/e/default"
STARTED = 1_700_000_000_000
"""Unix ms at which attempts are said to have begun."""


def attempt(
    app: Flask, kind: Kind = Kind.FAILED, error: str = "http_500: no", answer: bytes = b"oh"
) -> None:
    """Make an attempt of everything that is due."""
    crew = Crew(parts_of(app).client)
    error = "" if kind is Kind.COMPLETED else error
    status = 500 if error else 200
    made = Attempt(1, STARTED, 1_234, status, error or None)
    while claims := at_once(crew.store.claim(100)).claims:
        for crew.claim in claims:
            assert crew.answer(
                kind,
                delay=60_000,
                error=error,
                log=extend_log(b"", made),
                duration=made.duration,
                result=Result(status, "text/plain", truncated=False).describe(),
                body=answer,
            )


def item(api: Api, queue: str = "mail", payload: bytes = b"{}", **options: str) -> str:
    """Push an item; return its id."""
    pushed = api.push(queue, payload, options)
    assert pushed.status_code == 201, pushed.text
    assert pushed.json is not None
    return str(pushed.json["id"])


def ended(
    api: Api, app: Flask, queue: str = "mail", kind: Kind = Kind.FAILED, **options: str
) -> tuple[str, str]:
    """Push an item and end it; return its id and its entry in history."""
    job_id = item(api, queue, b"{}", **options)
    attempt(app, kind)
    found = api("GET", f"/items/{job_id}").json
    assert found is not None
    return job_id, str(found["entry"])
