"""Slow computations in a few real threads, so that other requests go on meanwhile.

Under gevent a computation of 0.4 s would stop all requests of the process for as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gevent.threadpool import ThreadPool

from lambdaqueue.errors import TooManyRequests

__all__ = ["MOST_THREADS", "MOST_WAITING", "Elsewhere"]

T = TypeVar("T")

MOST_THREADS = 2
"""Passwords that are computed at the same time: each takes 32 MiB and one core."""

MOST_WAITING = 20
"""Requests that wait for theirs; further ones are told to come again."""

COME_AGAIN = 3
"""Seconds."""


class Elsewhere:
    """The threads of a process. They are started by the first who needs them."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._waiting = 0

    def __call__(self, function: Callable[[], T]) -> T:
        """Call `function` in one of them, and return what it returns or raise what it raises.

        Raises:
            TooManyRequests: too many wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise TooManyRequests("passwords", MOST_WAITING, COME_AGAIN, COME_AGAIN)
        if self._pool is None:
            self._pool = ThreadPool(MOST_THREADS)
        self._waiting += 1
        try:
            found: T = self._pool.apply(function)
            return found
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.kill()
            self._pool = None
