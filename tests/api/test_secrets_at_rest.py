"""Tokens and secrets are nowhere: not in Redis, not in the log, not in what a mistake prints."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from lambdaqueue.config import Settings
from lambdaqueue.identity import Token
from tests.api.conftest import MASTER_KEY, TOKEN, Api, parts_of

PROOF = slice(13, None)
"""The part of a token that proves it; what comes before is its name."""


@pytest.fixture
def secrets(api: Api, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Everything confidential of an app that was used in every way."""
    caplog.set_level(logging.DEBUG)
    api.push(key="k", delay="60000")
    api.push("now")
    asked = [
        api("GET", "/secret"),
        api("POST", "/secret/rotate"),
        api("GET", "/queues/mail/secret"),
        api("POST", "/tokens", json={"name": "ci", "scopes": ["push", "read"]}),
    ]
    made = [
        str(value)
        for answer in asked
        for name, value in (answer.json or {}).items()
        if name in ("secret", "token")
    ]
    ours = made.pop()
    revoked = str(
        (api("POST", "/tokens", json={"name": "x", "scopes": ["read"]}).json or {})["token"]
    )
    unknown = Token.generate().text
    for token in (ours, revoked, unknown, f"{TOKEN[:13]}{unknown[13:]}", "Bearer", f"{ours}x"):
        Api(api.app, token)("GET", "/queues")
        Api(api.app, token)("GET", "/tokens")
    api("DELETE", f"/tokens/{revoked[4:12]}")
    api("GET", f"/queues?token={ours}")
    api("PUT", "/queues/mail", json={"target": 5})
    for path in ("/tokens", "/audit", "/environment", "/queues/mail/history"):
        api("GET", path)
    assert len(made) == 3
    tokens = [token[PROOF] for token in (TOKEN, ours, revoked, unknown)]
    return [MASTER_KEY, *tokens, *(secret.removeprefix("whsec_") for secret in made)]


def test_not_in_redis(redis_url: str, secrets: list[str]) -> None:
    with redis.Redis.from_url(redis_url) as client:
        found = list(everything(client))
    assert len(found) > 50
    for secret in secrets:
        assert not [place for place, value in found if secret.encode() in value]


def test_the_search_finds(redis_url: str) -> None:
    """A value of any type, and a name."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("a", "needle")
        client.hset("b", "f", "needle")
        client.hset("c", "needle", "v")
        client.rpush("d", "x", "needle")
        client.sadd("e", "needle")
        client.zadd("f", {"needle": 1})
        client.xadd("g", {"f": "needle"})
        client.set("needle", "")
        found = {place for place, value in everything(client) if b"needle" in value}
    assert found == {*"abcdefg", "needle"}


def test_not_in_the_log(caplog: pytest.LogCaptureFixture, secrets: list[str]) -> None:
    for secret in secrets:
        assert secret not in caplog.text


def test_not_in_reprs(api: Api, settings: Settings, secrets: list[str]) -> None:
    parts = parts_of(api.app)
    shown = f"{settings!r} {parts!r} {vars(parts.administration)} {vars(parts.authentication)}"
    shown += repr(parts.administration.tokens("1", 10, None))
    # What Authentication keeps is in its own memory only, by token: its values are shown here.
    kept: dict[str, Any] = vars(parts.authentication)["_kept"]
    shown = shown.replace(repr(kept), repr(list(kept.values())))
    for secret in secrets:
        assert secret not in shown


def test_not_in_a_traceback(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    authentication = parts_of(api.app).authentication
    monkeypatch.setattr(vars(authentication)["_store"], "find", broken)
    token = Token.generate().text
    answer = api.app.test_client().get(
        "/api/v1/queues", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 500
    records = [record for record in caplog.records if record.exc_info]
    assert records
    text = "".join("".join(traceback.format_exception(*r.exc_info)) for r in records if r.exc_info)
    assert "broken" in text
    assert token[PROOF] not in text + answer.text


def everything(client: Any) -> Iterator[tuple[str, bytes]]:
    """Yield every value of every type that Redis holds, and every name of a key, by key."""
    for key in client.scan_iter("*"):
        name = key.decode()
        yield name, key
        kind = client.type(key)
        if kind == b"string":
            yield name, client.get(key) or b""
        elif kind == b"hash":
            for field, value in client.hgetall(key).items():
                yield name, field
                yield name, value
        elif kind == b"list":
            yield from ((name, value) for value in client.lrange(key, 0, -1))
        elif kind == b"set":
            yield from ((name, value) for value in client.smembers(key))
        elif kind == b"zset":
            yield from ((name, value) for value in client.zrange(key, 0, -1))
        elif kind == b"stream":
            for _, fields in client.xrange(key):
                for field, value in fields.items():
                    yield name, field
                    yield name, value
        else:
            pytest.fail(f"{name} is a {kind!r}, which nobody looks into")
