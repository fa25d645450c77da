"""GET /queues/{queue}/history.jsonl: the whole history, line by line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask

from api import history
from lambdaqueue.attempts import Kind
from lambdaqueue.commands import HistoryFilter
from tests.api.conftest import Api, codes, parts_of, paths
from tests.api.service_calls import ENV, Crew, body_of
from tests.api.web import HEAD, Web, running
from tests.store.world import at_once

PATH = "/queues/mail/history.jsonl"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def cancelled(api: Api, count: int, payload: bytes = b"{}") -> list[str]:
    """Cancel so many items; return their ids, the newest first."""
    made = [body_of(api.push(payload=payload, delay="60000"), 201)["id"] for _ in range(count)]
    for item in made:
        api("DELETE", f"/items/{item}")
    return made[::-1]


def lines(text: str) -> list[Any]:
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_all_entries(api: Api, app: Flask) -> None:
    """As in the list, whatever they hold."""
    crew = Crew(parts_of(app).client)
    ended = []
    for kind, payload in (
        (Kind.COMPLETED, b"{}"),
        (Kind.FAILED, b'{"a": 1.10,\r\n "b":\n"\xc3\xa9 \xe2\x80\xa8 \\n"}'),
        (Kind.FAILED, b"\xff\n\x00"),
    ):
        ended.append(body_of(api.push(payload=payload, key="k"), 201)["id"])
        (crew.claim,) = at_once(crew.store.claim(10)).claims
        crew.answer(kind, body=b"one\ntwo\r\n", result='{"status":500}', error="http_500: no")
    response = api("GET", PATH)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.headers["Content-Disposition"] == 'attachment; filename="mail.history.jsonl"'
    found = [json.loads(line) for line in response.data.decode().split("\n")[:-1]]
    assert found == body_of(api("GET", "/queues/mail/history"))["entries"]
    assert sorted(each["id"] for each in found) == sorted(ended)


def test_more_than_a_chunk(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PIECE", 10_000)
    ids = cancelled(api, 230)
    assert [entry["id"] for entry in lines(api("GET", PATH).text)] == ids


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("state=CANCELLED", 3),
        ("state=COMPLETED", 0),
        ("key=k1", 1),
        ("key=none", 0),
        ("since=2020-01-01T00:00:00Z", 3),
        ("until=1000", 0),
        ("limit=1", 3),
    ],
)
def test_filters(api: Api, query: str, count: int) -> None:
    for number in range(3):
        api.push(delay="60000", key=f"k{number}")
        api("DELETE", f"/queues/mail/items/byKey/k{number}")
    response = api("GET", f"{PATH}?{query}")
    assert response.status_code == 200
    assert len(lines(response.text)) == count


@pytest.mark.parametrize(
    "query", ["state=PENDING", "since=x", "until=2020-01-01", "key=", "key=a&key=b"]
)
def test_bad_filters(api: Api, query: str) -> None:
    response = api("GET", f"{PATH}?{query}")
    assert response.status_code == 422
    assert paths(response) == [[query.partition("=")[0]]]


def test_no_queue(api: Api) -> None:
    """As the list: nothing has ended there."""
    assert (api("GET", PATH).status_code, api("GET", PATH).text) == (200, "")


@pytest.mark.parametrize("name", ["history.jsonl", "a/history.jsonl", "history.jsonl/a"])
def test_no_queue_is_called_so(api: Api, name: str) -> None:
    for method, path in (("PUT", f"/queues/{name}"), ("POST", f"/queues/{name}/items")):
        response = api(method, path, json={})
        assert response.status_code in (404, 405, 422), path
    assert body_of(api("GET", "/queues"))["queues"] == []
    assert codes(api("PUT", "/schedules/byKey/k", json=schedule_to(name))) == ["bad_queue_name"]


def schedule_to(queue: str) -> dict[str, str]:
    return {"queue": queue, "schedule": "@daily", "target": "http://127.0.0.1:9/"}


def test_a_name_with_a_slash(api: Api) -> None:
    for name in ("a/b.c", "a%2Fb.c"):
        disposition = api("GET", f"/queues/{name}/history.jsonl").headers["Content-Disposition"]
        assert disposition == 'attachment; filename="a_b.c.history.jsonl"'


def test_only_what_is_wanted_is_read(api: Api, app: Flask, client: redis.Redis) -> None:
    """Memory stays flat: a chunk of each of the two streams at a time."""
    cancelled(api, 250)
    client.config_resetstat()
    entries = parts_of(app).service.whole_history(ENV, "mail", HistoryFilter())
    for count, reads in ((1, 2), (99, 2), (1, 3), (149, 4)):
        for _ in range(count):
            next(entries)
        assert calls(client, "xrevrange") == reads
    assert list(entries) == []


def may_read(client: Any, sign: str) -> None:
    """Let Redis take (+) or refuse (-) the command that history is read with."""
    client.execute_command("ACL", "SETUSER", "default", f"{sign}xrevrange")


def calls(client: redis.Redis, command: str) -> int:
    stats: Any = client.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


def test_an_error_at_the_beginning(api: Api, client: redis.Redis) -> None:
    """It's answered as usual: nothing was sent yet."""
    cancelled(api, 1)
    may_read(client, "-")
    try:
        response = api("GET", PATH)
    finally:
        may_read(client, "+")
    assert response.status_code == 503
    assert (response.json or {})["type"] == "storage_unavailable"


@pytest.fixture
def web(redis_url: str, tmp_path: Path) -> Iterator[Web]:
    with running(redis_url, tmp_path / "web.log") as web:
        yield web


def whole(web: Web, request: str) -> bytes:
    with web.connect() as sock:
        sock.sendall(request.encode())
        data = b""
        while chunk := sock.recv(1_000_000):
            data += chunk
    return data


def test_chunks(web: Web, api: Api) -> None:
    ids = cancelled(api, 3)
    request = f"GET /api/v1{PATH} HTTP/1.1\r\nConnection: close\r\n{HEAD}\r\n"
    head, _, body = whole(web, request).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert body.endswith(b"\n\r\n0\r\n\r\n")
    assert [entry["id"] for entry in lines(unchunked(body))] == ids


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_error_in_the_middle(web: Web, api: Api, client: redis.Redis, version: str) -> None:
    """Neither the chunks nor the lines end as those of a whole answer do."""
    # More than the sockets hold, so that it's still being read when Redis refuses.
    cancelled(api, 300, payload=b'"%s"' % (b"x" * 100_000))
    with web.connect() as sock:
        sock.sendall(f"GET /api/v1{PATH} HTTP/{version}\r\n{HEAD}\r\n".encode())
        data = sock.recv(1_000)
        assert b" 200 " in data
        may_read(client, "-")
        try:
            while chunk := sock.recv(1_000_000):
                data += chunk
        finally:
            may_read(client, "+")
    _, _, body = data.partition(b"\r\n\r\n")
    assert not body.endswith(b"0\r\n\r\n")
    text = unchunked(body) if version == "1.1" else body.decode()
    *whole_lines, last = text.split("\n")
    assert 0 < len(whole_lines) < 300
    assert all(json.loads(line)["state"] == "CANCELLED" for line in whole_lines)
    assert last == history.BROKEN_OFF.decode()
    log = web.log.read_text()
    assert re.search(r"export_broke_off request=[0-9a-f]{16} ", log)
    assert "Traceback" not in log
    assert web.ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


def test_who_does_not_read_on(web: Web, api: Api) -> None:
    cancelled(api, 300, payload=b'"%s"' % (b"x" * 100_000))
    with web.connect() as sock:
        sock.sendall(f"GET /api/v1{PATH} HTTP/1.1\r\n{HEAD}\r\n".encode())
        assert b" 200 " in sock.recv(1_000)
    assert web.ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    web.process.terminate()
    web.process.wait(20)
    assert "Traceback" not in web.log.read_text()


def unchunked(body: bytes) -> str:
    """Return what the chunks hold, also when the last one is missing."""
    text = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        text, body = text + rest[:length], rest[length + 2 :]
    return text.decode()
