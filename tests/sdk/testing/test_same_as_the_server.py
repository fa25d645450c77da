"""The in-memory LambdaQueue says what the real API says, call by call.

Each row is made to both; status, some headers and JSON must be the same. Ids and times are not
compared, but which of them are equal, and times to half a minute.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from difflib import unified_diff
from typing import Any

import pytest
from flask import Flask

from api import create_app
from lambdaqueue.config import Settings
from lambdaqueue.vault import Vault
from tests.api.conftest import parts_of
from tests.sdk.conftest import TOKEN
from tests.sdk.testing.lives import FOLLOW_UP, ITEM, RETRY, SCENARIOS, SCHEDULE, walk
from tests.sdk.testing.sides import TARGET, InMemory, Real, Say, worker_on


@pytest.fixture
def app(redis_url: str) -> Iterator[Flask]:
    settings = Settings(
        redis_url=redis_url,
        bootstrap_token=TOKEN,
        master_keys=(Vault.new_key(),),
        development=True,
        public_url="https://lambdaqueue.example",
        trusted_hosts=("localhost",),
        allow_unvalidated=True,
    )
    made = create_app(settings)
    yield made
    parts_of(made).close()


@pytest.fixture
def compare(app: Flask, redis_url: str) -> Iterator[Callable[[Callable[[Say], Any]], None]]:
    """Make the same calls to both, and compare what they say."""
    with worker_on(redis_url) as client:

        def both(scenario: Callable[[Say], Any]) -> None:
            real, memory = Say(Real(app, TOKEN, client)), Say(InMemory())
            scenario(real)
            scenario(memory)
            differences = "\n".join(unified_diff(real.lines(), memory.lines(), "real", "memory"))
            assert not differences, differences

        yield both


FOLLOW = json.dumps(FOLLOW_UP)

PUSHES: dict[str, dict[str, str]] = {
    "plain": {},
    "options": {
        "key": "user-42",
        "delay": "600000",
        "priority": "3",
        "headers": '{"X-Own": "1"}',
        "retry": RETRY,
        "timeout": "5000",
        "max-age": "900000",
        "event-type": "order.paid",
        "flow-key": "customer-7",
        "method": "PUT",
    },
    "async": {"async": "600000", "heartbeat": "10000"},
    "the past": {"on": "1999-01-01T00:00:00Z"},
    "delay is no number": {"delay": "10m"},
    "delay too long": {"delay": "31622400001"},
    "delay and on": {"delay": "1", "on": "2026-01-01T00:00:00Z"},
    "on without a zone": {"on": "2026-01-01T00:00:00"},
    "on too far": {"on": "9000-01-01T00:00:00Z"},
    "no such method": {"method": "BREW"},
    "target of another scheme": {"target": "ftp://example.org/"},
    "target in a private network": {"target": "https://10.0.0.1/"},
    "target without https": {"target": "http://example.org/"},
    "headers are no JSON": {"headers": "{"},
    "headers are reserved": {"headers": '{"Host": "x", "X-LQ-Id": "1", "a b": "c"}'},
    "headers have a key twice": {"headers": '{"A": "1", "A": "2"}'},
    "retry is no object": {"retry": "[]"},
    "retry of no type": {"retry": '{"type": "never", "delay": -1, "retries": 51, "x": 1}'},
    "list without delays": {"retry": '{"type": "list"}'},
    "timeout too short": {"timeout": "999"},
    "priority too high": {"priority": "10"},
    "empty key": {"key": ""},
    "key too long": {"key": "k" * 256},
    "if-exists": {"if-exists": "maybe"},
    "heartbeat alone": {"heartbeat": "10000"},
    "follow-ups": {"on-success": FOLLOW, "on-failure": "none"},
    "follow-ups are no JSON": {"on-success": "nothing", "on-failure": "{"},
    "follow-ups are no objects": {"on-success": "null", "on-failure": '"none"'},
    "follow-ups lack all": {"on-success": "{}", "on-failure": "[]"},
    "follow-ups within follow-ups": {
        "on-failure": json.dumps({**FOLLOW_UP, "onFailure": FOLLOW_UP})
    },
    "follow-ups elsewhere": {"on-failure": '{"queue": "a/items", "target": "ftp://x", "x": 1}'},
    "unknown header": {"colour": "red", "size": "1"},
    "several": {"priority": "x", "timeout": "1", "delay": "y"},
}


@pytest.mark.parametrize("options", PUSHES.values(), ids=PUSHES)
def test_pushes(compare: Callable[..., None], options: dict[str, str]) -> None:
    compare(lambda say: say.push(**options))


BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "json": (b'{"b": 1.0, "a": 12345678901234567890123}', {"content_type": "application/json"}),
    "text": ("Grüße".encode(), {"content_type": "text/plain; charset=utf-8"}),
    "bytes": (b"\xff\x00", {"content_type": "application/octet-stream"}),
    "json that is none": (b"{", {"content_type": "application/json"}),
    "empty": (b"", {"content_type": "text/plain"}),
    "no type": (b"x", {"content_type": ""}),
    "odd type": (b"x", {"content_type": "json"}),
    "encoded": (b"x", {"content_type": "text/plain", "content_encoding": "gzip"}),
    "too large": (b"x" * 262_145, {"content_type": "text/plain"}),
    "largest": (b"x" * 262_144, {"content_type": "text/plain"}),
}


@pytest.mark.parametrize(("body", "headers"), BODIES.values(), ids=BODIES)
def test_bodies(compare: Callable[..., None], body: bytes, headers: dict[str, str]) -> None:
    target = {"x-lq-target": TARGET}
    compare(lambda say: say("POST", "/queues/mail/items", body, **target, **headers))


BATCHES: dict[str, Any] = {
    "one": {"items": [ITEM]},
    "kinds": {
        "items": [
            {**ITEM, "key": "a", "delay": 60_000, "priority": 9},
            {**ITEM, "payload": "text", "contentType": "text/plain"},
            {**ITEM, "payload": "AAEC/w==", "payloadEncoding": "base64"},
            {**ITEM, "payload": None},
        ]
    },
    "empty": {"items": []},
    "no items": {},
    "items are no list": {"items": 1},
    "another field": {"items": [ITEM], "queue": "x"},
    "bad items": {
        "items": [1, {}, {**ITEM, "delay": "1"}, {**ITEM, "colour": 1}, {**ITEM, "key": 7}]
    },
    "a key twice": {"items": [{**ITEM, "key": "a"}, {**ITEM, "key": "a"}]},
    "no text": {"items": [{**ITEM, "contentType": "text/plain"}]},
    "no base64": {"items": [{**ITEM, "payload": "AAE", "payloadEncoding": "base64"}]},
    "another encoding": {"items": [{**ITEM, "payloadEncoding": "hex"}]},
    "no target": {"items": [ITEM, {"payload": 1}]},
    "null": {"items": [{**ITEM, "delay": None}]},
    "a list": [ITEM],
    "follow-ups": {"items": [{**ITEM, "onSuccess": FOLLOW_UP, "onFailure": "none"}]},
    "no follow-ups": {
        "items": [{**ITEM, "onSuccess": None}, {**ITEM, "onFailure": {"format": "xml"}}]
    },
}


@pytest.mark.parametrize("body", BATCHES.values(), ids=BATCHES)
def test_batches(compare: Callable[..., None], body: Any) -> None:
    compare(lambda say: say("POST", "/queues/mail/items/batch", body))


NAMES = [
    *("a/b", "a%2Fb", "A.b_c-1", "-a", ".a", "a..b", "a//b", "items", "a/items", "x" * 128),
    *("x" * 129, "a%20b", "history", "a/secret", "queue%C3%A9"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_queues(compare: Callable[..., None], name: str) -> None:
    def scenario(say: Say) -> None:
        say.push(name)
        say("GET", f"/queues/{name}/items")
        say("GET", f"/queues/{name}/history")
        say("GET", f"/queues/{name}")

    compare(scenario)


STRAY = [
    ("GET", "/nothing"),
    ("GET", "/queues/mail/nothing/items/x"),
    ("PUT", "/queues/mail/items"),
    ("DELETE", "/queues"),
    ("GET", "/items/nothing"),
    ("GET", "/items/0mwq83nuu00001"),
    ("PATCH", "/items/0mwq83nuu00001"),
    ("DELETE", "/items/0mwq83nuu00001"),
    ("POST", "/items/0mwq83nuu00001/run"),
    ("GET", "/queues/mail/items/byKey/none"),
    ("GET", "/queues/none"),
    ("DELETE", "/queues/none"),
    ("POST", "/queues/none/purge"),
    ("GET", "/queues/none/items"),
    ("GET", "/queues/none/items?limit=0"),
    ("GET", "/queues/none/items?limit=1&limit=2"),
    ("GET", "/queues/none/items?state=COMPLETED"),
    ("GET", "/queues/none/items?cursor=x"),
    ("GET", "/queues/none/history?state=PENDING"),
    ("GET", "/queues/none/history?since=yesterday&until=0"),
    ("GET", "/queues/none/history?cursor=x"),
    ("POST", "/queues/none/history/f1-0/replay"),
    ("POST", "/queues/none/history/replay"),
    ("GET", "/schedules"),
    ("GET", "/schedules?cursor=x&limit=x"),
    ("GET", "/queues?cursor=a%20b"),
    ("GET", "/schedules/none"),
    ("GET", "/schedules/byKey/none"),
    ("POST", "/schedules/none/run"),
    ("GET", "/schedules/preview"),
    ("GET", "/schedules/preview?schedule=every(10s)&count=2"),
    ("GET", "/schedules/preview?schedule=0+9+*+*+*&tz=Mars/Olympus"),
    ("GET", "/schedules/preview?schedule=99+9+*+*+*"),
    ("GET", "/executions/none"),
    ("POST", "/executions/0mwq83nuu00001/cancel"),
    ("GET", "/periodic/none"),
    ("DELETE", "/timers/none"),
    ("GET", "/services/shop/jobs"),
    ("GET", "/services/Shop/jobs"),
    ("PUT", "/services/Shop/jobs"),
    ("PUT", "/services/shop/jobs"),
    ("GET", "/services/a/b/jobs/c"),
    ("GET", "/services/shop/jobs/none/"),
    ("GET", "/queues/"),
    ("GET", "/queues/none/"),
    ("GET", "/queues/none/items/"),
    ("GET", "/items/nothing/"),
    ("GET", "/schedules/"),
    ("GET", "/schedules/none/"),
    ("GET", "/periodic/none/"),
    ("POST", "/messages/"),
    ("GET", "/services/shop/jobs/"),
    ("GET", "/queues/a/items/items"),
    ("PUT", "/queues/items"),
    ("GET", "/services/shop/jobs/none"),
    ("DELETE", "/services/shop/jobs/none"),
    ("POST", "/services/shop/jobs/none/run"),
]


@pytest.mark.parametrize(("method", "path"), STRAY, ids=[" ".join(each) for each in STRAY])
def test_what_is_not_there(compare: Callable[..., None], method: str, path: str) -> None:
    compare(lambda say: say(method, path))


def test_tokens(compare: Callable[..., None]) -> None:
    def scenario(say: Say) -> None:
        for given in ("", "Bearer x", TOKEN, "Basic abc"):
            say("GET", "/queues", authorization=given)

    compare(scenario)


NULLS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/queues/mail/purge", {"state": None}),
    ("POST", "/messages", {"payload": 1, "url": TARGET, "eventType": None, "attempt": None}),
    ("PUT", "/timers/a", {"target": TARGET, "at": None, "delay": 60_000}),
    ("PUT", "/periodic/a", {"target": TARGET, "minuteOfHour": None, "every": None}),
]


@pytest.mark.parametrize(("method", "path", "body"), NULLS, ids=[each[1] for each in NULLS])
def test_nulls(compare: Callable[..., None], method: str, path: str, body: dict[str, Any]) -> None:
    compare(lambda say: say(method, path, body))


WRONG_SCHEDULES: dict[str, dict[str, Any]] = {
    "no queue": {"queue": None},
    "odd queue": {"queue": "items"},
    "no expression": {"schedule": ""},
    "a year ago": {"schedule": "at(2020-01-01T00:00:00)"},
    "rate": {"schedule": "rate(1 minutes)"},
    "zone": {"timezone": "Mars"},
    "another key": {"key": "b"},
    "jitter": {"jitter": -1},
    "unknown": {"colour": 1},
    "times": {"startsAt": "now", "endsAt": 1, "maxRuns": 0},
    "choices": {"misfire": "x", "overlap": "y"},
    "no target": {"target": None},
    "follow-ups": {"onSuccess": None, "onFailure": "all"},
}


@pytest.mark.parametrize("wrong", WRONG_SCHEDULES.values(), ids=WRONG_SCHEDULES)
def test_wrong_schedules(compare: Callable[..., None], wrong: dict[str, Any]) -> None:
    compare(lambda say: say("PUT", "/schedules/byKey/a", {**SCHEDULE, **wrong}))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.__name__ for each in SCENARIOS])
def test_whole_lives(compare: Callable[..., None], scenario: Callable[[Say], None]) -> None:
    compare(scenario)


@pytest.mark.parametrize("seed", range(12))
def test_lives_by_chance(compare: Callable[..., None], seed: int) -> None:
    compare(lambda say: walk(say, seed))
