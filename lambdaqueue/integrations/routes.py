"""Which endpoint a request is for, and what of it may be read: the same for every framework."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol
from urllib.parse import unquote

from lambdaqueue.sdk.delivery import METHODS, Delivery, Reply
from lambdaqueue.sdk.endpoint import Endpoint
from lambdaqueue.sdk.errors import ConfigurationError
from lambdaqueue.sdk.queue import Queue

__all__ = [
    "Queues",
    "Refused",
    "Routes",
    "Source",
    "answered",
    "declared_length",
    "expected",
    "without_prefix",
]

LENGTH = re.compile(r"[0-9]{1,19}")


log = logging.getLogger("lambdaqueue")


class Queues(Protocol):
    """A `LambdaQueue`: the endpoints by path, and the queues whose handlers have none."""

    @property
    def handlers(self) -> Mapping[str, Endpoint]:
        """The endpoint of every queue that has a handler, by its path (`/welcome-queue`)."""

    @property
    def handlers_without_path(self) -> Collection[str]:
        """The names of queues that have a handler and no path."""


class Refused(Exception):
    """Raised when a request doesn't get to an endpoint; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


Source = Queues | Queue
"""What is mounted: all queues of a `LambdaQueue`, or one."""


class Routes:
    """Finds endpoints by path, among those that there are at the time of the request.

    `prefix` is what the paths begin with here and not in `Queue.path`: it's part of LQ_BASE_URL.
    With `alone` nothing else is called at this place, so that one queue needs no path. Of all
    queues those with a handler and no path are warned of: they may be mounted elsewhere.

    Raises:
        ConfigurationError: it's one queue that has no path, and isn't alone.
    """

    def __init__(self, queues: Source, prefix: str = "", *, alone: bool = False) -> None:
        if isinstance(queues, Queue) and queues.path is None and not alone:
            raise ConfigurationError(
                f"the queue {queues.name} has no path here: "
                f'say lq.queue("/{queues.name}"), or lq.queue("{queues.name}", target="/path")'
            )
        self._queues = queues
        self._prefix = f"/{prefix.strip('/')}" if prefix.strip("/") else ""
        self._warned: set[str] = set()
        self._warn()

    def paths(self) -> set[str]:
        """Return the paths that have an endpoint now, decoded."""
        return {self._prefix + unquote(path) for path in list(self._handlers())}

    def find(self, *paths: str) -> Endpoint | None:
        """Return the endpoint at the first of `paths` that has one, all of them decoded.

        A slash at the end makes no difference: proxies add and drop it.
        """
        if isinstance(self._queues, Queue) and self._queues.path is None:
            return _endpoint(self._queues)
        handlers = self._handlers()
        # A target is written as in a URL; hosts decode what they are asked for. (As a list: others
        # may be declared meanwhile.)
        decoded = {unquote(path): handlers[path] for path in list(handlers) if "%" in path}
        for path in paths:
            inner = without_prefix(path, self._prefix)
            if inner is None:
                continue
            for spelling in (inner, inner.removesuffix("/"), f"{inner}/"):
                endpoint = handlers.get(spelling) or decoded.get(spelling)
                if endpoint is not None:
                    return endpoint
        return None

    def _warn(self) -> None:
        if isinstance(self._queues, Queue) or not self._queues.handlers_without_path:
            return
        for name in set(self._queues.handlers_without_path) - self._warned:
            self._warned.add(name)
            log.warning(
                "the handler of the queue %s gets no delivery by mounting all queues: it has no "
                'path; say lq.queue("/%s"), or lq.queue("%s", target="/path"), or mount it alone',
                *(name, name, name),
            )

    def _handlers(self) -> Mapping[str, Endpoint]:
        if not isinstance(self._queues, Queue):
            self._warn()  # Handlers may be declared after `mount`.
            return self._queues.handlers
        endpoint, path = _endpoint(self._queues), self._queues.path
        return {} if endpoint is None or path is None else {path: endpoint}


def _endpoint(queue: Queue) -> Endpoint | None:
    try:
        return queue.endpoint
    except ConfigurationError:
        # It may get its handler later; until then there is nothing at its path.
        return None


def without_prefix(path: str, prefix: str) -> str | None:
    """Return what follows `prefix`, which has no slash at its end; None when that isn't there."""
    if not prefix:
        return path
    if path == prefix:
        return "/"
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else None


def expected(endpoint: Endpoint | None, method: str) -> Endpoint:
    """Return the endpoint that was found for a request.

    Raises:
        Refused: none was, or no delivery has this method.
    """
    if endpoint is None:
        raise Refused(Reply.not_found())
    if method.upper() not in METHODS:
        raise Refused(Reply.wrong_method())
    return endpoint


def declared_length(value: str | None, limit: int) -> int | None:
    """Return the bytes that Content-Length announces; None where there is none.

    Raises:
        Refused: it is no number, or over `limit`, so that nothing needs to be read.
    """
    if not value:
        return None
    if LENGTH.fullmatch(value) is None:
        raise Refused(Reply.error(400, "Content-Length is not a number"))
    if int(value) > limit:
        raise Refused(Reply.too_large(limit))
    return int(value)


def answered(
    endpoint: Endpoint | None,
    method: str,
    headers: Iterable[tuple[str, str]],
    read: Callable[[int], bytes],
) -> Reply:
    """Return the answer to a request, for hosts that aren't async.

    `read` is given the most bytes that are taken. It raises Refused, or returns more and the
    endpoint refuses it.
    """
    try:
        taking = expected(endpoint, method)
        body = read(taking.max_body)
    except Refused as error:
        return error.reply
    return taking.answer(Delivery.of(method, headers, body))
