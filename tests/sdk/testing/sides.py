"""The same calls to the real API on a real Redis and to the in-memory one, and what each says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import redis
from flask import Flask

from lambdaqueue.attempts import AttemptStore
from lambdaqueue.connection import Scripts
from lambdaqueue.instants import parse_instant
from lambdaqueue.outcome import Answer
from lambdaqueue.sdk.delivery import Delivery, Reply
from lambdaqueue.sdk.transport import Request, Response
from lambdaqueue.testing import MemoryLambdaQueue
from lambdaqueue.testing.memory import API_URL, TOKEN
from tests.store.world import ImmediateScripts, at_once
from workers.attempt import conclude
from workers.invoking import TokenInvoker

__all__ = ["TARGET", "InMemory", "Real", "Said", "Say", "worker_on"]

TARGET = "http://127.0.0.1:9/hook"

NOT_SAME_IN_PATH = re.compile(r"(?<=/callback/)[^/]+|(?<=cursor=).+")
ID = re.compile(r"\b(?:[cf][0-9]{13}-[0-9]+|[0-9a-z]{9}[0-9a-z]{4}1|[0-9a-z]{16})(?:_[0-9]{13})?\b")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z")
OCCURRENCE = re.compile(r"(?<=/report_)[0-9]{13}")
HIDDEN = {
    *("nextCursor", "secret", "guid", "time_ms", "entry", "durationMs", "duration_ms"),
    "endpoints",  # None rests in memory.
}
COMPARED = ("content-type", "idempotency-replayed", "www-authenticate", "cache-control")

Said = tuple[str, int, dict[str, str], Any]
"""A call, and what it was answered: status, some headers, JSON without what can't be the same."""

GRAIN = 30_000
"""ms within which two times count as the same."""

FAR = 20 * 86_400_000
"""ms; what is farther ahead was said by a wall clock, and is the same."""


class Side(Protocol):
    def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response: ...

    def attend(self, reply: Reply) -> str: ...

    def now(self) -> datetime: ...


class Say:
    """Makes calls to one side and keeps what was said."""

    def __init__(self, side: Side) -> None:
        self.said: list[Said] = []
        self._side = side
        self._names: dict[str, str] = {}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call `path` (below /api/v1); a body that isn't bytes is JSON. Returns the answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        if body is not None:
            named.setdefault("content-type", "application/json")
        answered = self._side.send(method, f"/api/v1{path}", named, raw)
        told = json.loads(answered.body) if _is_json(answered) else _lines(answered.body)
        shown = {name: answered.headers[name] for name in COMPARED if name in answered.headers}
        if not answered.body:
            shown.pop("content-type", None)  # Flask has one all the same.
        shown_path = NOT_SAME_IN_PATH.sub("<…>", ID.sub("<id>", path))
        call = f"{method} {shown_path} {body!r}"
        self.said.append((call, answered.status, shown, self._scrubbed(told)))
        return told

    def push(self, queue: str = "mail", body: Any = None, **options: str) -> Any:
        """Push to the usual target; `options` are x-lq-* headers without the prefix."""
        named = {f"x-lq-{name}": value for name, value in {"target": TARGET, **options}.items()}
        return self("POST", f"/queues/{queue}/items", {"n": 1} if body is None else body, **named)

    def attend(self, status: int = 200, body: bytes = b"", **headers: str) -> str:
        """Let the target give this answer to all that is due; returns a path for callbacks."""
        pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return self._side.attend(Reply(status, pairs, body))

    def lines(self) -> list[str]:
        """Return all that was said, line by line."""
        return [
            line
            for call, *answered in self.said
            for line in [call, *json.dumps(answered, indent=1, sort_keys=True).splitlines()]
        ]

    def _scrubbed(self, value: Any, name: str = "") -> Any:
        if name in HIDDEN:
            return f"<{name}>"
        if isinstance(value, dict):
            return {key: self._scrubbed(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self._scrubbed(each) for each in value]
        if isinstance(value, str) and TIME.fullmatch(value):
            return self._since(value)
        if isinstance(value, str):
            return ID.sub(self._named, OCCURRENCE.sub("<time>", value))
        return value

    def _named(self, found: re.Match[str]) -> str:
        return self._names.setdefault(found[0], f"<{len(self._names)}>")

    def _since(self, time: str) -> str:
        ahead = parse_instant(time) - int(self._side.now().timestamp() * 1_000)
        if ahead > FAR:
            return time
        return f"in {round(ahead / GRAIN)} × {GRAIN} ms"


class InMemory:
    """The in-memory side."""

    def __init__(self) -> None:
        self.lq = MemoryLambdaQueue(base_url="http://127.0.0.1:9")
        self._reply = Reply(200)
        self._callback = ""
        self.lq.answer(TARGET, self._take)

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        given = {"authorization": f"Bearer {TOKEN}", **headers}
        request = Request(method, API_URL + path, tuple(given.items()), body or None)
        return self.lq._connection.transport.send(request)

    def attend(self, reply: Reply) -> str:
        self._reply, self._callback = reply, ""
        self.lq.run_due()
        return self._callback

    def now(self) -> datetime:
        return self.lq.clock.now

    def _take(self, delivery: Delivery) -> Reply:
        path = _callback_path(dict(delivery.headers), delivery.body)
        self._callback = path or self._callback
        return self._reply


class Real:
    """The real API, and a worker that makes no calls."""

    def __init__(self, app: Flask, token: str, client: redis.Redis) -> None:
        self._token = token
        self._client = app.test_client()
        self._store = AttemptStore(client, rq_worker="worker-1", slots=20)  # type: ignore[arg-type]
        self._store._scripts = ImmediateScripts(Scripts(client))  # type: ignore[assignment]
        at_once(self._store.join())
        self._invoker = TokenInvoker(self._store, API_URL)

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        given = {"Authorization": f"Bearer {self._token}", **headers}
        answered = self._client.open(path, method=method, headers=given, data=body or None)
        lower = {name.lower(): value for name, value in answered.headers.items()}
        return Response(answered.status_code, lower, answered.data)

    def attend(self, reply: Reply) -> str:
        callback = ""
        while claims := at_once(self._store.claim(20, ())).claims:
            for claim in claims:
                headers: dict[str, str] = {}
                body = b""
                if claim.spec.terms is not None:
                    sent = at_once(self._invoker.invoke(claim, 0))
                    headers, body = dict(sent.headers), sent.claim.spec.payload
                callback = _callback_path(headers, body) or callback
                lower = {name.lower(): value for name, value in reply.headers}
                answer = Answer(reply.status, lower, reply.body)
                at_once(self._store.settle([conclude(claim, answer, 0.0)]))
        return callback

    def now(self) -> datetime:
        return datetime.now(UTC)


@contextmanager
def worker_on(redis_url: str) -> Iterator[redis.Redis]:
    """A connection for the worker."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def _callback_path(headers: dict[str, str], body: bytes) -> str:
    lower = {name.lower(): value for name, value in headers.items()}
    url = lower.get("x-lq-callback-url", "")
    if not url and b"callback_url" in body:
        url = json.loads(body)["callback_url"]
    return urlsplit(url).path.removeprefix("/api/v1")


def _is_json(answered: Response) -> bool:
    kind = answered.headers.get("content-type", "")
    return bool(answered.body) and kind in ("application/json", "application/problem+json")


def _lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
