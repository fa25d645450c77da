"""GET /items/{id}?wait=…: answered when the item ended, by one subscription for all who wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from werkzeug.test import TestResponse

from lambdaqueue import waiting
from lambdaqueue.administration import Administration
from lambdaqueue.attempts import Kind
from lambdaqueue.config import Settings
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.job import Job
from tests.api.conftest import TOKEN, Api, codes, parts_of, paths, token_for
from tests.api.service_calls import ENV, Crew, body_of
from tests.api.web import HEAD, Web, read_answer, running
from tests.redis_server import generations, serving
from tests.store.world import at_once
from tests.waiting import until

Ask = Callable[..., "Future[TestResponse]"]

LONG = 20
"""Seconds: a test that must wait them out has failed."""

BUSY = """
local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local start = ms()
repeat until ms() - start > 800
"""
"""Keeps Redis from answering for 0.8 s."""


@pytest.fixture
def crew(app: Flask) -> Crew:
    return Crew(parts_of(app).client)


@pytest.fixture
def watcher(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def ask(app: Flask) -> Iterator[Ask]:
    """Sends a request that waits, in a thread of its own."""
    with ThreadPoolExecutor(20) as threads:

        def begin(item_id: str, seconds: int = LONG) -> Future[TestResponse]:
            # A test client is for one request at a time.
            return threads.submit(Api(app), "GET", f"/items/{item_id}?wait={seconds}")

        yield begin
        waiters = parts_of(app).waiters
        waiters.close()
        if waiters._subscription is not None:
            waiters._subscription.join(LONG)


def subscribers(client: redis.Redis) -> int:
    found: Any = client.pubsub_numsub(waiting.ENDED)
    return int(found[0][1])


def waiting_for(app: Flask, item_id: str) -> int:
    """How many wait for an item, on a subscription that stands."""
    subscription = parts_of(app).waiters._subscription
    if subscription is None or not subscription._stands:
        return 0
    return len(subscription._places.get(item_id.encode(), ()))


def claim(crew: Crew, item_id: str) -> None:
    """Begin an attempt of the only item that is due."""
    (crew.claim,) = at_once(crew.store.claim(10)).claims
    assert crew.claim.id == item_id


def pushed(api: Api, **options: str) -> str:
    return str(body_of(api.push(options=options), 201)["id"])


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("21", "out_of_range"),
        ("-1", "not_integer"),
        ("1.5", "not_integer"),
        ("", "not_integer"),
        ("1s", "not_integer"),
        ("%D9%A1", "not_integer"),
    ],
)
def test_bad_times(api: Api, value: str, code: str) -> None:
    response = api("GET", f"/items/{pushed(api)}?wait={value}")
    assert response.status_code == 422
    assert (paths(response), codes(response)) == ([["wait"]], [code])


def test_twice(api: Api) -> None:
    assert api("GET", f"/items/{pushed(api)}?wait=1&wait=2").status_code == 422


@pytest.mark.parametrize("kind", [Kind.COMPLETED, Kind.FAILED])
def test_an_end(api: Api, app: Flask, crew: Crew, ask: Ask, kind: Kind) -> None:
    item = pushed(api)
    claim(crew, item)
    asked = ask(item)
    until(lambda: waiting_for(app, item), "a waiter")
    assert crew.answer(kind, error="http_410: gone" if kind is Kind.FAILED else "")
    shown = body_of(asked.result(LONG / 2))
    assert (shown["id"], shown["state"]) == (item, kind.value.upper())
    assert shown == body_of(api("GET", f"/items/{item}"))


def test_a_cancellation(api: Api, app: Flask, ask: Ask) -> None:
    item = pushed(api, delay="60000")
    asked = ask(item)
    until(lambda: waiting_for(app, item), "a waiter")
    api("DELETE", f"/items/{item}")
    assert body_of(asked.result(LONG / 2))["state"] == "CANCELLED"


def test_one_that_has_ended(api: Api, watcher: redis.Redis) -> None:
    item = pushed(api, delay="60000")
    api("DELETE", f"/items/{item}")
    assert body_of(api("GET", f"/items/{item}?wait={LONG}"))["state"] == "CANCELLED"
    assert subscribers(watcher) == 0


def test_no_such_item(api: Api) -> None:
    assert api("GET", f"/items/0123456789abc1?wait={LONG}").status_code == 404
    assert api("GET", f"/items/x?wait={LONG}").status_code == 404


def test_without_waiting(api: Api, watcher: redis.Redis) -> None:
    item = pushed(api, delay="60000")
    assert body_of(api("GET", f"/items/{item}?wait=0"))["state"] == "PENDING"
    assert subscribers(watcher) == 0


def test_the_time_is_over(api: Api) -> None:
    item = pushed(api, delay="60000")
    begun = time.monotonic()
    assert body_of(api("GET", f"/items/{item}?wait=1"))["state"] == "PENDING"
    assert 1 <= time.monotonic() - begun < LONG / 2


def test_what_follows_the_end_of_an_old_version(api: Api, app: Flask, crew: Crew, ask: Ask) -> None:
    """The item goes on, so the waiter does."""
    item = pushed(api, key="k")
    claim(crew, item)
    asked = ask(item)
    until(lambda: waiting_for(app, item), "a waiter")
    api.push(key="k", payload=b'"new"')
    assert crew.answer(Kind.COMPLETED)
    claim(crew, item)
    assert not asked.done()
    assert crew.answer(Kind.COMPLETED)
    assert body_of(asked.result(LONG / 2))["version"] == 2


def test_many_on_one_subscription(api: Api, app: Flask, ask: Ask, watcher: redis.Redis) -> None:
    until(lambda: subscribers(watcher) == 0, "the end of what an earlier test's app has left")
    items = [pushed(api, delay="60000") for _ in range(5)]
    asked = {item: [ask(item) for _ in range(3)] for item in items}
    until(lambda: all(waiting_for(app, item) == 3 for item in items), "all waiters")
    assert subscribers(watcher) == 1
    for item in items[:4]:
        api("DELETE", f"/items/{item}")
        for each in asked[item]:
            assert body_of(each.result(LONG / 2))["id"] == item
    assert waiting_for(app, items[4]) == 3
    assert not any(each.done() for each in asked[items[4]])


def test_it_is_kept_for_a_while(
    api: Api, app: Flask, ask: Ask, watcher: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_EVERY", 0.05)
    begun = []
    for _ in range(2):
        item = pushed(api, delay="60000")
        asked = ask(item)
        until(partial(waiting_for, app, item), "a waiter")
        begun.append(parts_of(app).waiters._subscription)
        api("DELETE", f"/items/{item}")
        asked.result(LONG / 2)
    assert begun[0] is begun[1]
    monkeypatch.setattr(waiting, "LINGER", 0.0)
    until(lambda: subscribers(watcher) == 0, "its end")
    item = pushed(api, delay="60000")
    asked = ask(item)
    until(lambda: waiting_for(app, item), "a waiter on a new one")
    api("DELETE", f"/items/{item}")
    assert body_of(asked.result(LONG / 2))["state"] == "CANCELLED"


def test_too_many(api: Api, app: Flask, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_WAITERS", 2)
    item = pushed(api, delay="60000")
    asked = [ask(item), ask(item)]
    until(lambda: waiting_for(app, item) == 2, "two waiters")
    begun = time.monotonic()
    assert body_of(api("GET", f"/items/{item}?wait={LONG}"))["state"] == "PENDING"
    assert time.monotonic() - begun < LONG / 2
    api("DELETE", f"/items/{item}")
    assert [body_of(each.result(LONG / 2))["state"] for each in asked] == ["CANCELLED"] * 2
    # Their places are free again.
    item = pushed(api, delay="60000")
    asked = [ask(item), ask(item)]
    until(lambda: waiting_for(app, item) == 2, "two others")


def test_an_end_before_the_subscription_stands(api: Api, app: Flask, redis_url: str) -> None:
    """It ends after the first look, and is published before anybody listens."""
    waiters, service = parts_of(app).waiters, parts_of(app).service
    item = pushed(api, delay="60000")
    looks: list[Job] = []

    def look() -> Job:
        looks.append(service.item(ENV, item))
        if len(looks) == 1:
            service.cancel(ENV, item)
        return looks[-1]

    begun = time.monotonic()
    assert waiters.wait(item, LONG, look).state.ended
    assert time.monotonic() - begun < LONG / 2
    assert len(looks) == 2


def test_a_revoked_token(api: Api, app: Flask, administration: Administration) -> None:
    """An answer that took so long isn't for who may no longer read."""
    item = pushed(api, delay="60000")
    other = Api(app, token_for(administration, ENV, name="other"))
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(other, "GET", f"/items/{item}?wait={LONG}")
        until(lambda: waiting_for(app, item), "a waiter")
        (found,) = [
            each for each in body_of(api("GET", "/tokens"))["tokens"] if each["name"] == "other"
        ]
        assert api("DELETE", f"/tokens/{found['id']}").status_code == 204
        until(lambda: other("GET", "/queues").status_code == 401, "that it's known to be revoked")
        api("DELETE", f"/items/{item}")
        assert asked.result(LONG / 2).status_code == 401


def test_closing_lets_all_go(api: Api, app: Flask, ask: Ask) -> None:
    item = pushed(api, delay="60000")
    asked = ask(item)
    until(lambda: waiting_for(app, item), "a waiter")
    parts_of(app).waiters.close()
    assert body_of(asked.result(LONG / 2))["state"] == "PENDING"
    assert body_of(api("GET", f"/items/{item}?wait={LONG}"))["state"] == "PENDING"


def test_a_broken_subscription(api: Api, app: Flask, ask: Ask, watcher: redis.Redis) -> None:
    """Nobody knows what was missed: they look for themselves, and the next one begins anew."""
    item = pushed(api, delay="60000")
    asked = ask(item)
    until(lambda: waiting_for(app, item), "a waiter")
    watcher.client_kill_filter(_type="pubsub")
    assert body_of(asked.result(LONG / 2))["state"] == "PENDING"
    asked = ask(item)
    until(lambda: waiting_for(app, item), "a waiter on a new one")
    api("DELETE", f"/items/{item}")
    assert body_of(asked.result(LONG / 2))["state"] == "CANCELLED"


class TestWithoutRedis:
    """On a server of its own, which is stopped."""

    @pytest.fixture
    def server(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
        with serving(max(generations()), tmp_path_factory) as server:
            yield server

    @pytest.fixture
    def settings(self, settings: Settings, server: EmbeddedRedis) -> Settings:
        return Settings(
            redis_url=server.url,
            bootstrap_token=TOKEN,
            master_keys=settings.master_keys,
            development=True,
        )

    def test_it_goes_away(self, api: Api, app: Flask, ask: Ask, server: EmbeddedRedis) -> None:
        item = pushed(api, delay="60000")
        asked = ask(item)
        until(lambda: waiting_for(app, item), "a waiter")
        with redis.Redis.from_url(server.url) as client:
            client.shutdown(nosave=True)
        gone = asked.result(LONG / 2)
        assert gone.status_code == 503
        assert (gone.json or {})["type"] == "storage_unavailable"
        assert gone.headers["Retry-After"]


def test_no_answer_to_a_ping(
    api: Api, app: Flask, ask: Ask, monkeypatch: pytest.MonkeyPatch, watcher: redis.Redis
) -> None:
    """A server that fell silent: asked once, then given up."""
    monkeypatch.setattr(waiting, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(waiting, "SILENCE", 0.2)
    item = pushed(api, delay="60000")
    asked = ask(item)
    until(lambda: waiting_for(app, item), "a waiter")
    begun = time.monotonic()
    # Longer than two silences; reads by other connections wait for it, and then go on.
    watcher.eval(BUSY, 0)  # type: ignore[no-untyped-call, unused-ignore]
    assert body_of(asked.result(LONG / 2))["state"] == "PENDING"
    assert time.monotonic() - begun < LONG / 2


@pytest.fixture
def web(redis_url: str, tmp_path: Path) -> Iterator[Web]:
    with running(redis_url, tmp_path / "web.log") as web:
        yield web


def test_under_gunicorn(web: Web, api: Api, watcher: redis.Redis) -> None:
    """Others are served meanwhile; a stopping worker answers those who wait."""
    first, second = pushed(api, delay="60000"), pushed(api, delay="60000")
    with web.connect() as one, web.connect() as two:
        for sock, item in ((one, first), (two, second)):
            sock.sendall(f"GET /api/v1/items/{item}?wait={LONG} HTTP/1.1\r\n{HEAD}\r\n".encode())
        until(lambda: subscribers(watcher) == 1, "the subscription")
        begun = time.monotonic()
        assert web.ask(f"GET /api/v1/items/{first} HTTP/1.1\r\n{HEAD}\r\n").status == 200
        assert time.monotonic() - begun < 2
        api("DELETE", f"/items/{first}")
        assert read_answer(one).json["state"] == "CANCELLED"
        web.process.terminate()
        assert read_answer(two).json["state"] == "PENDING"
        assert web.process.wait(20) == 0
    assert time.monotonic() - begun < LONG / 2
    assert "Traceback" not in web.log.read_text()


def test_the_thread_is_one(app: Flask, api: Api, ask: Ask) -> None:
    item = pushed(api, delay="60000")
    before = {each for each in threading.enumerate() if each.name == "ended"}
    for _ in range(4):
        ask(item)
    until(lambda: waiting_for(app, item) == 4, "four waiters")
    begun = {each for each in threading.enumerate() if each.name == "ended"} - before
    assert len(begun) == 1
    assert next(iter(begun)).daemon
