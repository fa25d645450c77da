"""Signed requests: an endpoint takes them as it takes real ones, and refuses what's wrong."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lambdaqueue.proofs import VALIDATION_HEADER
from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.delivery import Delivery, Job, Reply
from lambdaqueue.sdk.errors import ConfigurationError
from lambdaqueue.sdk.queue import Queue
from lambdaqueue.testing import SignedRequest, signed_request, validation_request

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_" + "QUFB" * 8
OTHER = "whsec_" + "QUJD" * 8
URL = "https://app.example.com/welcome"


class App:
    def __init__(self, secret: str = SECRET) -> None:
        env = {"LQ_SECRET": secret, "LQ_BASE_URL": "https://app.example.com"}
        self.queue: Queue = LambdaQueue(env=env).queue("/welcome")
        self.seen: list[tuple[Any, Job]] = []
        self.queue.handler(lambda payload, job: self.seen.append((payload, job)))

    def take(self, request: SignedRequest) -> Reply:
        delivery = Delivery.of(request.method, request.headers.items(), request.body)
        return self.queue.endpoint.answer(delivery)


@pytest.mark.parametrize("payload", [{"name": "Al"}, None, [1], "Grüße", b"\xff", 2**70])
def test_payloads(payload: Any) -> None:
    app = App()
    assert app.take(signed_request(app.queue, payload)).status == 204
    assert app.seen[0][0] == payload


def test_what_a_handler_is_told() -> None:
    app = App()
    asked = signed_request(
        app.queue, 1, key="ü/%", attempt=3, max_attempts=3, event_type="paid", headers={"X-A": "1"}
    )
    app.take(asked)
    ((_, job),) = app.seen
    assert (job.queue, job.key, job.attempt, job.max_attempts) == ("welcome", "ü/%", 3, 3)
    assert job.is_last_attempt
    assert job.event_type == "paid"
    assert job.headers["x-a"] == "1"


@pytest.mark.parametrize(
    ("secret", "off", "status"),
    [(SECRET, 0, 204), (OLD, 0, 204), (OTHER, 0, 401), (SECRET, -600, 401), (SECRET, 600, 401)],
)
def test_secrets_and_times(secret: str, off: int, status: int) -> None:
    app = App(f"{SECRET} {OLD}")
    at = time.time() + off if off else None
    assert app.take(signed_request(secret, 1, at=at)).status == status
    assert len(app.seen) == (status == 204)


def test_a_changed_body_is_refused() -> None:
    app = App()
    asked = signed_request(app.queue, 1)
    assert app.take(SignedRequest("POST", asked.headers, b"2")).status == 401


@pytest.mark.parametrize(("url", "status"), [(URL, 200), ("https://evil.example/welcome", 401)])
def test_validation(url: str, status: int) -> None:
    app = App()
    reply = app.take(validation_request(app.queue, url))
    assert reply.status == status
    assert (reply.header(VALIDATION_HEADER) is not None) is (status == 200)


def test_each_is_another_job() -> None:
    ids = {signed_request(SECRET, 1).headers["webhook-id"] for _ in range(10)}
    assert len(ids) == 10


def test_no_secret() -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        signed_request("nonsense", 1)
    bare = LambdaQueue(env={}).queue("/welcome")
    with pytest.raises(ConfigurationError, match="has no handler"):
        signed_request(bare, 1)


def test_nothing_secret_is_shown() -> None:
    asked = signed_request(SECRET, {"card": "4111"})
    assert "4111" not in repr(asked)
    assert "v1," not in repr(asked)
