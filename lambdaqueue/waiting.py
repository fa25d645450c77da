"""Waiting for jobs to end, without asking Redis again and again.

Every script publishes what it has ended. A process has one subscription to that, in a thread of
its own (a greenlet under gevent): it begins with the first who waits and is kept for a while after
the last. What it hears is a hint to look, never the truth: the one who waits reads the job itself
as soon as the subscription stands, after each hint, and when the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Event, Lock, Thread
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lambdaqueue.job import Job
from lambdaqueue.logs import Log

__all__ = ["MOST_WAITERS", "Waiters"]

log = Log("lambdaqueue.waiting")

ENDED = "lq:ended"
"""The channel: each message has the ids of what one run of a script ended."""

MOST_WAITERS = 200
"""Requests of one process that wait at the same time: each holds a connection of a client."""

LINGER = 10.0
"""Seconds for which the subscription is kept after the last waiter: another often follows."""

SILENCE = 2.0
"""Seconds without a word from Redis after which it's asked whether it's still there, and for which
there may be no answer."""

LOOK_EVERY = 0.5
"""Seconds after which the subscription looks whether anybody wants it; this asks Redis nothing."""

Connect = Callable[[], Any]


class Waiters:
    """Those in this process who wait for jobs to end."""

    def __init__(self, client: redis.Redis) -> None:
        pool: Any = client.connection_pool
        # Not one of the pool's connections, and none that is made anew behind our back: what was
        # published in between would be missed.
        options = {**pool.connection_kwargs, "retry": Retry(NoBackoff(), 0)}
        self._connect: Connect = partial(pool.connection_class, **options)
        self._lock = Lock()
        self._count = 0
        self._subscription: _Subscription | None = None
        self._closed = False

    def wait(self, job_id: str, seconds: float, read: Callable[[], Job]) -> Job:
        """Return the job as `read` finds it: when it has ended, or else after `seconds`.

        It's returned earlier when too many wait already, Redis breaks the subscription off, or
        this process stops. Raises what `read` raises.
        """
        deadline = time.monotonic() + seconds
        job = read()
        if job.state.ended or seconds <= 0:
            return job
        place = self._enter(job_id)
        if place is None:
            return job
        try:
            while place.is_told(deadline - time.monotonic()):
                job = read()
                if job.state.ended or place.subscription.is_over:
                    return job
            return read()
        finally:
            self._leave(place)

    def close(self) -> None:
        """Let all go who wait, and nobody wait any more; the subscription ends soon."""
        with self._lock:
            self._closed = True
            if self._subscription is not None:
                self._subscription.end()

    @property
    def is_closed(self) -> bool:
        """Tell whether nobody may wait any more: this process stops."""
        return self._closed

    def _enter(self, job_id: str) -> _Place | None:
        with self._lock:
            if self._closed or self._count >= MOST_WAITERS:
                return None
            place = self._subscription.enter(job_id) if self._subscription else None
            if place is None:
                begun = _Subscription(self._connect)
                place = begun.enter(job_id)
                begun.start()
                self._subscription = begun
            self._count += 1
            return place

    def _leave(self, place: _Place) -> None:
        place.subscription.leave(place)
        with self._lock:
            self._count -= 1


class _Place:
    """Where one waits for one job, to be told that it may have ended."""

    def __init__(self, subscription: _Subscription, job_id: bytes) -> None:
        self.subscription = subscription
        self.job_id = job_id
        self._told = Event()

    def is_told(self, seconds: float) -> bool:
        """Wait for a reason to look; False when none came for so long."""
        told = self._told.wait(max(seconds, 0))
        self._told.clear()
        return told

    def tell(self) -> None:
        self._told.set()


class _Subscription(Thread):
    """Hears what has ended, and tells those who wait for it."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(name="ended", daemon=True)
        self._connect = connect
        self._lock = Lock()
        self._places: dict[bytes, set[_Place]] = {}
        self._left_at = time.monotonic()
        self._stands = False
        self.is_over = False

    def enter(self, job_id: str) -> _Place | None:
        """Take a place; None where the subscription is over."""
        with self._lock:
            if self.is_over:
                return None
            place = _Place(self, job_id.encode())
            self._places.setdefault(place.job_id, set()).add(place)
            if self._stands:
                place.tell()
            return place

    def leave(self, place: _Place) -> None:
        """Give a place back."""
        with self._lock:
            others = self._places[place.job_id]
            others.discard(place)
            if not others:
                del self._places[place.job_id]
            self._left_at = time.monotonic()

    def end(self) -> None:
        """Hear nothing more, and tell everybody so."""
        with self._lock:
            self.is_over = True
            self._tell_all()

    def run(self) -> None:
        """Listen until nobody waits any more, or Redis goes away."""
        connection = self._connect()
        try:
            connection.send_command("SUBSCRIBE", ENDED)
            self._listen(connection)
        except (redis.RedisError, OSError) as error:
            log.warning("subscription_lost", reason=error)
        finally:
            self.end()
            connection.disconnect()

    def _listen(self, connection: Any) -> None:
        heard_at, asked = time.monotonic(), False
        while not self._is_idle():
            if connection.can_read(LOOK_EVERY):
                self._hear(connection.read_response(push_request=True))
                heard_at, asked = time.monotonic(), False
            elif time.monotonic() - heard_at > SILENCE:
                if asked:
                    raise redis.TimeoutError("no answer")
                connection.send_command("PING", check_health=False)
                heard_at, asked = time.monotonic(), True

    def _hear(self, message: Any) -> None:
        with self._lock:
            match message:
                case [b"subscribe", *_]:
                    self._stands = True
                    self._tell_all()
                case [b"message", _, bytes(job_ids)]:
                    for job_id in self._places.keys() & job_ids.split():
                        for place in self._places[job_id]:
                            place.tell()

    def _tell_all(self) -> None:
        for places in self._places.values():
            for place in places:
                place.tell()

    def _is_idle(self) -> bool:
        with self._lock:
            if not self._places and time.monotonic() - self._left_at > LINGER:
                self.is_over = True
            return self.is_over
