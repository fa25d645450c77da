"""Deliveries through a framework's own test client, so that its routes are tested as well."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from lambdaqueue.integrations.flask import mount
from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.delivery import Delivery, Job, Reply
from lambdaqueue.testing import in_memory, signed_request, validation_request

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BASE = "https://app.example.com"


class App:
    """An application with one handler."""

    def __init__(self) -> None:
        self.lq = LambdaQueue(secret=SECRET, base_url=BASE, env={})
        self.welcome = self.lq.queue("/welcome")
        self.seen: list[Any] = []
        self.welcome.handler(self.handle)
        self.client: FlaskClient = mount(Flask("app"), self.lq).test_client()

    def handle(self, payload: Any, job: Job) -> dict[str, Any]:
        self.seen.append(payload)
        return {"hello": payload}


@pytest.fixture
def app() -> App:
    return App()


def test_a_signed_request(app: App) -> None:
    asked = signed_request(app.welcome, "Al")
    answered = app.client.open(
        "/welcome", method=asked.method, headers=asked.headers, data=asked.body
    )
    assert (answered.status_code, answered.json) == (200, {"hello": "Al"})
    assert app.client.post("/welcome", json="Al").status_code == 401
    assert app.seen == ["Al"]


def test_a_validation(app: App) -> None:
    asked = validation_request(app.welcome, f"{BASE}/welcome")
    answered = app.client.head("/welcome", headers=asked.headers)
    assert answered.status_code == 200
    assert answered.headers["x-lq-validation"].startswith("v1,")


def test_memory_delivers_by_the_client(app: App) -> None:
    def by_flask(delivery: Delivery) -> Reply:
        answered = app.client.open(
            "/welcome", method=delivery.method, headers=delivery.headers, data=delivery.body
        )
        return Reply(answered.status_code, tuple(answered.headers.items()), answered.data)

    with in_memory(app.lq) as memory:
        memory.answer(f"{BASE}/welcome", by_flask)
        item = app.welcome.push("Al", delay="1h")
        memory.clock.advance("1h")
        assert app.welcome.get(item.id).state == "COMPLETED"
    assert app.seen == ["Al"]
