"""The seam to the network: one request goes out, one `Answer` comes back, whatever happens.

`CurlSender` is the real one, `RecordingSender` the fake for tests.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

import certifi

from lambdaqueue.outcome import Answer
from lambdaqueue.targets import TargetRules
from workers.exchange import CONNECT_TIMEOUT, READ_LIMIT, Exchange, Outgoing
from workers.resolver import DnsResolver, Resolver
from workers.routes import Route, Router
from workers.transfers import Transfers

__all__ = ["CONNECT_TIMEOUT", "READ_LIMIT", "CurlSender", "Outgoing", "RecordingSender", "Sender"]

DEFAULT_SLOTS: Final = 200


class Sender(Protocol):
    """What the worker needs of an HTTP client."""

    async def send(self, request: Outgoing) -> Answer:
        """Send `request` and return what came of it.

        Never raises for anything the network or the endpoint does. Cancelling it aborts the
        call and closes its connection. Raises ValueError if the request can't be put into
        HTTP (a line break in a header, a character beyond ASCII, HEAD with a body).
        """

    async def close(self) -> None:
        """Abort what is still out (its callers are cancelled) and close all connections."""


class CurlSender:
    """Sends through libcurl, with keep-alive, HTTP/1.1 only.

    Made inside a running loop and used from it. `rules` say which URLs may be called and which
    addresses dialled; they hold for every attempt, whatever was allowed at push. `slots` is how
    many calls are usually out at once; twice as many connections may stay open. `resolver` looks
    names up (the system's name servers by default) and is closed with the sender.
    `connect_timeout` is milliseconds, `ca_bundle` a PEM file of the authorities to trust
    (certifi's by default), `transfers` what drives libcurl.

    libcurl sends a request again by itself in one case: a kept connection turned out to be
    closed before a byte of the answer came. The endpoint sees the same `webhook-id` then.
    """

    def __init__(
        self,
        rules: TargetRules,
        slots: int = DEFAULT_SLOTS,
        *,
        resolver: Resolver | None = None,
        connect_timeout: int = CONNECT_TIMEOUT,
        ca_bundle: str | None = None,
        transfers: Callable[[int], Transfers] = Transfers,
    ) -> None:
        self._transfers = transfers(2 * slots)
        self._resolver = resolver or DnsResolver()
        self._router = Router(rules, self._resolver, connect_timeout)
        self._addresses = rules.addresses
        self._connect_timeout = connect_timeout
        # pycurl's wheel brings its own OpenSSL, which knows no system store.
        self._ca_bundle = ca_bundle or certifi.where()
        self._idle: list[Exchange] = []

    async def send(self, request: Outgoing) -> Answer:
        """See `Sender.send`."""
        started = time.monotonic()
        route = await self._router.find(request.url, request.timeout)
        spent = _milliseconds_since(started)
        if not isinstance(route, Route):
            return Answer(failure=route.failure, detail=route.detail, duration=spent)
        exchange = self._idle.pop() if self._idle else self._new()
        try:
            exchange.prepare(request, route, spent)
            ended = await self._transfers.start(exchange.curl)
            return exchange.answer(ended, request, _milliseconds_since(started))
        finally:
            self._transfers.drop(exchange.curl)
            exchange.clear()
            self._idle.append(exchange)

    def _new(self) -> Exchange:
        return Exchange(self._addresses, self._connect_timeout, self._ca_bundle)

    async def close(self) -> None:
        """See `Sender.close`."""
        await self._resolver.close()
        await self._transfers.close()
        self._idle.clear()


class RecordingSender:
    """A sender for tests: remembers the requests and answers by a script.

    `script` is a function from request to `Answer` (or to an awaitable of one, so that a call
    can hang), or the answers in the order of the calls. Without one every request gets a 200.
    """

    def __init__(
        self,
        script: Callable[[Outgoing], Answer | Awaitable[Answer]] | Iterable[Answer] | None = None,
    ) -> None:
        self.requests: list[Outgoing] = []
        self.closed = False
        self._reply = script if callable(script) else _one_by_one(script)

    async def send(self, request: Outgoing) -> Answer:
        """See `Sender.send`. Raises AssertionError when the scripted answers are used up."""
        self.requests.append(request)
        reply = self._reply(request)
        return reply if isinstance(reply, Answer) else await reply

    async def close(self) -> None:
        """See `Sender.close`; `closed` tells that it was called."""
        self.closed = True


def _milliseconds_since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)


def _one_by_one(answers: Iterable[Answer] | None) -> Callable[[Outgoing], Answer]:
    if answers is None:
        return lambda request: Answer(status=200)
    left = iter(answers)

    def reply(request: Outgoing) -> Answer:
        answer = next(left, None)
        assert answer is not None, f"no answer left for {request.method} {request.url}"
        return answer

    return reply
