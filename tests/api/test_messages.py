"""Direct messages over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from api import create_app
from lambdaqueue import keys
from lambdaqueue.config import Settings
from lambdaqueue.job import Job
from lambdaqueue.messages import POLICY, QUEUE
from lambdaqueue.service import open_service
from lambdaqueue.spec import Message
from tests.api.conftest import TARGET, Api, Tenant, codes, parts_of, paths

GOOD = {"payload": {"a": 1}, "url": TARGET}


@pytest.fixture
def jobs(settings: Settings) -> Callable[[], list[Job]]:
    """Reads the messages that wait, the oldest first."""
    service = open_service(settings)
    return lambda: list(service.items(keys.DEFAULT_ENVIRONMENT, QUEUE, None, 100, None).rows)


@pytest.fixture
def acme(settings: Settings) -> Iterator[Flask]:
    """The application of an operator who has set LQ_HEADER_NAME."""
    made = create_app(replace(settings, header_name="Acme"))
    yield made
    parts_of(made).close()


def test_what_becomes_of_it(api: Api, jobs: Callable[[], list[Job]]) -> None:
    sent = api("POST", "/messages", json=GOOD)
    (job,) = jobs()
    assert (sent.status_code, sent.json) == (202, {"id": job.id})
    spec = job.spec
    assert (job.queue, job.target, spec.method) == ("messages", TARGET, "POST")
    assert (spec.payload, spec.content_type) == (b'{"a":1}', "application/json")
    assert (spec.retry, spec.timeout, spec.event_type) == (POLICY, 10_000, None)
    assert spec.message == Message("LambdaQueue", 1)
    assert (job.attempt, job.max_attempts) == (0, 10)


def test_its_options(acme: Flask, jobs: Callable[[], list[Job]]) -> None:
    assert Api(acme)("POST", "/messages", json={**GOOD, "eventType": "e", "attempt": 3}).json
    (job,) = jobs()
    assert (job.spec.message, job.spec.event_type) == (Message("Acme", 3), "e")
    assert (job.attempt, job.max_attempts) == (2, 10)


def test_its_item_shows_the_attempts(api: Api) -> None:
    sent = api("POST", "/messages", json={**GOOD, "attempt": 10})
    assert sent.json is not None
    item = api("GET", f"/items/{sent.json['id']}")
    assert item.json is not None
    assert (item.json["attempt"], item.json["maxAttempts"]) == (9, 10)


@pytest.mark.parametrize(
    "payload", [None, 0, "", "text", [], {"z": 1, "a": [1.5, 12345678901234567890, "é"]}]
)
def test_any_json_is_sent_compactly(
    api: Api, jobs: Callable[[], list[Job]], payload: object
) -> None:
    body = json.dumps({"payload": payload, "url": TARGET}, indent=1)
    assert api("POST", "/messages", data=body, content_type="application/json").status_code == 202
    expected = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    assert jobs()[0].spec.payload == expected.encode()


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"url": TARGET}, "payload", "required"),
        ({"payload": 1}, "url", "required"),
        ({**GOOD, "url": "ftp://example.com/"}, "url", None),
        ({**GOOD, "url": "http://10.0.0.1/"}, "url", None),
        ({**GOOD, "url": None}, "url", "null"),
        ({**GOOD, "attempt": 0}, "attempt", "out_of_range"),
        ({**GOOD, "attempt": 11}, "attempt", "out_of_range"),
        ({**GOOD, "attempt": "3"}, "attempt", "not_integer"),
        ({**GOOD, "attempt": True}, "attempt", "not_integer"),
        ({**GOOD, "eventType": "x" * 129}, "eventType", "bad_length"),
        ({**GOOD, "eventType": "a\r\nX: y"}, "eventType", "control_character"),
        ({**GOOD, "delay": 1}, "delay", "unknown_field"),
        ({**GOOD, "payload": "x" * 262_143}, "payload", "too_large"),
    ],
)
def test_what_is_refused(
    api: Api, jobs: Callable[[], list[Job]], body: dict[str, Any], path: str, code: str | None
) -> None:
    refused = api("POST", "/messages", json=body)
    assert refused.status_code == 422
    assert paths(refused) == [[path]]
    assert code is None or codes(refused) == [code]
    assert jobs() == []


def test_the_largest_payload_is_taken(api: Api) -> None:
    assert api("POST", "/messages", json={**GOOD, "payload": "x" * 262_142}).status_code == 202


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"payload": 1, "payload": 2, "url": "x"}', "application/json", 400),
        (b'{"payload": NaN, "url": "x"}', "application/json", 400),
        (json.dumps(GOOD).encode(), "text/plain", 415),
    ],
)
def test_what_cannot_be_read(api: Api, body: bytes, content_type: str, status: int) -> None:
    answer = api("POST", "/messages", data=body, content_type=content_type)
    assert answer.status_code == status


def test_the_same_request_again_sends_nothing(api: Api, jobs: Callable[[], list[Job]]) -> None:
    def send(**changes: Any) -> Any:
        return api("POST", "/messages", json={**GOOD, **changes}, headers={"Idempotency-Key": "k"})

    first, again, other = send(), send(), send(payload=2)
    assert (again.status_code, again.json) == (202, first.json)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, codes(other)) == (422, ["idempotency_mismatch"])
    assert len(jobs()) == 1


def test_it_is_the_environments_own(api: Api, tenant: Callable[[str], Tenant]) -> None:
    sent = api("POST", "/messages", json=GOOD)
    assert sent.json is not None
    assert tenant("other").api("GET", f"/items/{sent.json['id']}").status_code == 404
