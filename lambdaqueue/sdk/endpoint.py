"""An endpoint: what stands between LambdaQueue and a handler. No sockets, no web framework.

A request is a `Delivery`, what is to be answered a `Reply`. User code is reached by one way alone:
through a signature over the exact bytes that came in, by a secret that we know, at this time.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

from lambdaqueue.proofs import VALIDATION_HEADER, OtherUrl, answer_challenge
from lambdaqueue.sdk.delivery import (
    MAX_BODY,
    METHODS,
    NEVER,
    Delivery,
    Job,
    Reply,
    UnreadablePayload,
)
from lambdaqueue.sdk.errors import (
    ApiError,
    ConfigurationError,
    DoNotRetry,
    ExecutionOver,
    RetryLater,
)
from lambdaqueue.sdk.execution import Execution
from lambdaqueue.sdk.invocation import Invocation
from lambdaqueue.sdk.reasons import MAX_REASON, reason_of
from lambdaqueue.sdk.replay_guard import ReplayGuard, Seen
from lambdaqueue.signing import InvalidSignature, Secret, verify

__all__ = ["Endpoint", "Handler"]

log = logging.getLogger("lambdaqueue")

LONGEST_WAIT = 86_400
"""Seconds: the most that the server takes of a Retry-After."""

UNDER_WAY_AFTER = 10
"""Seconds until a delivery may come again that is being worked on already."""

_RUNNING: set[asyncio.Task[Reply]] = set()
"""Coroutine handlers at work: an event loop alone holds its tasks too loosely."""

PATIENCE = 5.0
"""Seconds for the callback that a handler has failed: LambdaQueue is waiting for our answer."""

OURS = frozenset({"webhook-signature", VALIDATION_HEADER})
"""Headers of LambdaQueue's requests: one that is refused nevertheless is worth a warning."""

Handler = Callable[[Any, Job], Any]
"""What is called with payload and job: a function or a coroutine function."""


@dataclass(frozen=True, slots=True)
class Call:
    """A verified delivery, ready for the handler; `key` is what the guard knows it by."""

    payload: Any
    job: Job
    key: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a handler ended: by returning `result`, or by `error`."""

    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True)
class Endpoint:
    """Answers the deliveries of one handler; see `answer`.

    `secrets` returns the secrets that may have signed, the current one first. `urls` returns every
    spelling of this endpoint's own URL; none where it isn't known, and then whoever is sent a
    genuine validation can have this endpoint vouch for him. `guard` keeps the handler from doing
    the same work twice. `callbacks` makes the `Execution` of a callback URL, and refuses one that
    isn't of our LambdaQueue. `clock` is Unix seconds. With `show_errors` LambdaQueue is told an
    exception's text, else its class alone. `max_body` is in bytes; an integration looks at it
    before it reads.
    """

    handler: Handler
    _: KW_ONLY
    secrets: Callable[[], Sequence[Secret]]
    urls: Callable[[], Collection[str]] = tuple
    guard: ReplayGuard | None = None
    clock: Callable[[], float] = time.time
    callbacks: Callable[[str], Execution] | None = None
    show_errors: bool = True
    max_body: int = MAX_BODY

    @property
    def is_coroutine(self) -> bool:
        """True when the handler is a coroutine function."""
        called = getattr(self.handler, "__call__", None)  # noqa: B004
        return any(inspect.iscoroutinefunction(f) for f in (self.handler, called))

    def answer(self, delivery: Delivery) -> Reply:
        """Return the answer to `delivery`. No Exception leaves it, whatever the handler does.

        A coroutine handler runs in an event loop of its own, made for this one call: what it keeps
        between calls (an HTTP client, a pool) must not belong to a loop.
        """
        call = self._admit(delivery)
        return call if isinstance(call, Reply) else self._work(call)

    async def answer_async(self, delivery: Delivery) -> Reply:
        """Return the answer to `delivery`, as `answer` does, in an event loop.

        A coroutine handler runs in that loop, a function in a thread.
        """
        call = self._admit(delivery)
        if isinstance(call, Reply):
            return call
        if not self.is_coroutine:
            return await asyncio.to_thread(self._work, call)
        # Whoever asked may go away; the work is not to be torn apart for that.
        task = asyncio.create_task(self._work_async(call))
        _RUNNING.add(task)
        task.add_done_callback(_RUNNING.discard)
        return await asyncio.shield(task)

    def _admit(self, delivery: Delivery) -> Call | Reply:
        """Return what the handler is to be called with, or else the answer."""
        call = self._judge(delivery)
        if isinstance(call, Reply) and delivery.method == "HEAD":
            return replace(call, body=b"")
        return call

    def _judge(self, delivery: Delivery) -> Call | Reply:
        if delivery.method not in METHODS:
            return Reply.wrong_method()
        if len(delivery.body) > self.max_body:
            return Reply.too_large(self.max_body)
        try:
            if delivery.method == "HEAD":
                return self._validate(delivery.headers)
            verify(self._secrets(), delivery.headers, delivery.body, self.clock())
            return self._call(delivery)
        except InvalidSignature as error:
            ours = not OURS.isdisjoint(delivery.headers)
            log.log(logging.WARNING if ours else logging.INFO, "refused a request: %s", error)
            return Reply.error(401, f"not signed as it should be: {error}")
        except UnreadablePayload as error:
            log.error("a payload can't be read: %s", error)
            return Reply.error(400, f"the payload can't be read: {error}", NEVER)
        except Exception:
            # Nothing of the request's: a setting is missing. Who asks may be anybody.
            log.exception("can't answer LambdaQueue")
            return Reply.error(500, "this endpoint isn't configured as it should be: see its log")

    def _validate(self, headers: Mapping[str, str]) -> Reply:
        urls = self.urls()
        try:
            proof = answer_challenge(self._secrets(), headers, self.clock(), urls or None)
        except OtherUrl as error:
            known = ", ".join(sorted(urls))
            log.warning("validation refused: %s than %s; is LQ_BASE_URL right?", error, known)
            raise
        return Reply(200, ((VALIDATION_HEADER, proof),))

    def _secrets(self) -> Sequence[Secret]:
        secrets = self.secrets()
        if not secrets:
            raise ConfigurationError("there is no signature secret: set LQ_SECRET")
        return secrets

    def _call(self, delivery: Delivery) -> Call:
        """Read a delivery that is verified."""
        payload, headers = delivery.payload(), delivery.headers
        asked = Invocation.of(headers, payload)
        if asked is None or self.callbacks is None:
            return Call(payload, Job.of(headers), headers["webhook-id"])
        execution = self.callbacks(asked.url)
        execution.interval, execution.show_errors = asked.interval, self.show_errors
        # A later attempt must begin anew, see replay_guard.
        key = f"{headers['webhook-id']}.{headers['webhook-timestamp']}"
        return Call(payload, Job.of(headers, execution), key)

    def _work(self, call: Call) -> Reply:
        put_off = self._begin(call)
        if put_off is not None:
            return put_off
        try:
            result = self.handler(call.payload, call.job)
            ended = Ended(asyncio.run(result) if inspect.iscoroutine(result) else result)
        except Exception as error:
            ended = Ended(error=error)
        except BaseException:
            self._forget(call)
            raise
        return self._settle(call, ended)

    async def _work_async(self, call: Call) -> Reply:
        put_off = await asyncio.to_thread(self._begin, call) if self.guard else None
        if put_off is not None:
            return put_off
        try:
            ended = Ended(await self.handler(call.payload, call.job))
        except Exception as error:
            ended = Ended(error=error)
        except BaseException:
            # The loop is being closed: nothing can be awaited any more.
            self._forget(call)
            raise
        return await asyncio.to_thread(self._settle, call, ended)

    def _begin(self, call: Call) -> Reply | None:
        """Return the answer to a delivery that must not reach the handler now, else None."""
        if self.guard is None:
            return None
        try:
            seen = self.guard.begin(call.key)
        except Exception as error:
            return self._raised(call.job, error)
        if seen is Seen.NEW:
            return None
        log.info("%s has come again, and is %s", call.job.message_id, seen.value)
        if seen is Seen.DONE and not call.job.is_async:
            return Reply(204)
        again = ("Retry-After", str(UNDER_WAY_AFTER))
        return Reply.error(503, f"this delivery is {seen.value} here", again)

    def _settle(self, call: Call, ended: Ended) -> Reply:
        """Tell of how the handler ended whoever has to know, and return the answer."""
        if ended.error is None:
            self._remember(call)
            return _returned(call.job, ended.result)
        self._forget(call)
        reply = self._raised(call.job, ended.error)
        _give_up(call.job, ended.error)
        return reply

    def _raised(self, job: Job, error: Exception) -> Reply:
        """Return the answer to what a handler raised, and log it."""
        words = reason_of(error, show_errors=self.show_errors)
        if isinstance(error, RetryLater):
            log.info("%s of %s is to come again: %s", job.id, job.queue, words)
            seconds = min(LONGEST_WAIT, math.ceil(error.seconds))
            return Reply.error(503, words, ("Retry-After", str(seconds)))
        if isinstance(error, DoNotRetry):
            log.warning("%s of %s has failed for good: %s", job.id, job.queue, words)
            return Reply.error(500, words, NEVER)
        if isinstance(error, ExecutionOver) and job.callbacks is not None and job.callbacks.over:
            log.info("%s of %s is over, and its handler stopped", job.id, job.queue)
            return Reply(204)
        log.error("%s of %s failed", job.id, job.queue, exc_info=error)
        return Reply.error(500, words)

    def _remember(self, call: Call) -> None:
        if self.guard is not None:
            try:
                self.guard.done(call.key)
            except Exception:
                # To fail now would have the work done again for certain.
                log.exception("the replay guard can't remember %s", call.key)

    def _forget(self, call: Call) -> None:
        if self.guard is not None:
            try:
                self.guard.failed(call.key)
            except Exception:
                log.exception("the replay guard can't forget %s", call.key)


def _returned(job: Job, result: Any) -> Reply:
    try:
        return Reply.of(result)
    except (TypeError, ValueError) as error:
        log.error("%s of %s returned what can't be sent: %s", job.id, job.queue, error)
        # The work is done: it must not be done again for that.
        words = f"the handler has done its work, but returned what can't be sent: {error}"
        return Reply.error(500, words[:MAX_REASON], NEVER)


def _give_up(job: Job, error: Exception) -> None:
    """Tell by callback that the handler has failed, where callbacks count already.

    From the first callback on LambdaQueue takes no notice of our answer: it would wait for the
    next heartbeat in vain.
    """
    if job.callbacks is None or not job.callbacks.under_way:
        return
    try:
        job.callbacks.fail(error, within=PATIENCE)
    except ApiError as untold:
        log.warning("%s of %s: nobody has taken that it failed: %s", job.id, job.queue, untold)
