"""Telling LambdaQueue of work that ends by a callback: that it goes on, and how it ended.

Such work is one run of a service job, or one attempt of an item that was pushed as async. Its
callback URL is all that it needs, and a secret: whoever has it may end the execution. So only the
token is taken from it, and sent to our own LambdaQueue alone, whatever else a delivery says.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from lambdaqueue import __version__, strict_json
from lambdaqueue.sdk.answers import error_of, parsed
from lambdaqueue.sdk.durations import Duration, seconds
from lambdaqueue.sdk.errors import ApiError, ConfigurationError, ExecutionOver, NotFound
from lambdaqueue.sdk.invocation import DEFAULT_INTERVAL, callback_token
from lambdaqueue.sdk.reasons import reason_of
from lambdaqueue.sdk.transport import Request, Transport
from lambdaqueue.sdk.working import Working, percentage

__all__ = ["Execution"]

TIMEOUT = 10.0
"""Seconds for one callback."""

PATIENCE = 300.0
"""Seconds in which the final callback is repeated until it's answered."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0
"""Seconds until the final callback is repeated: doubled each time, up to the second."""

MAX_SUMMARY = 1_000
MAX_TEXT = 10_000
"""Characters that are sent of a summary, and of an error's text: at most what the server takes of
it in bytes, however they are written."""

HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", f"LambdaQueue-Python/{__version__}"),
)


class Execution:
    """One attempt of an execution, as whoever works on it sees it. Thread-safe.

    `interval` is the seconds in each of which LambdaQueue waits for a heartbeat. `timeout` is in
    seconds, and holds for each callback; `patience` for a final one with its repeats. Without
    `show_errors` only an exception's class is told.

    Raises:
        ConfigurationError: `url` isn't a callback URL of the LambdaQueue at `api_url`.
    """

    def __init__(
        self,
        url: str,
        *,
        api_url: str,
        transport: Transport,
        interval: float = DEFAULT_INTERVAL,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        show_errors: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._token = _token(url, api_url)
        self._api_url = api_url
        self._transport = transport
        self.interval = interval
        self.show_errors = show_errors
        self._timeout = timeout
        self._patience = patience
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._begun = False
        self._ending = False
        self._finished = False
        self._lost: ApiError | None = None

    def __repr__(self) -> str:
        return f"Execution({self.name!r})"

    @property
    def name(self) -> str:
        """The execution's name, of an item its id; the same for all attempts."""
        return self._token.partition("_")[0]

    @property
    def over(self) -> bool:
        """True once it's known that nothing that we say counts any more."""
        return self._finished or self._lost is not None

    @property
    def finished(self) -> bool:
        """True once LambdaQueue has taken from us how it ended, or is being told so just now."""
        # In this order: the first becomes False only when the second is True.
        return self._ending or self._finished

    @property
    def lost(self) -> ApiError | None:
        """What told us to stop working, if somebody else has ended it."""
        return self._lost

    @property
    def under_way(self) -> bool:
        """True from the first callback on, until it's over: a callback alone can end it."""
        return self._begun and not self.over

    def heartbeat(self, progress: float | None = None, *, extend: Duration | None = None) -> bool:
        """Tell that the work goes on; return False if nobody could take that just now.

        The next one will do then: two intervals may pass. `progress` is a percentage. With `extend`
        it may go on for so long from now at least, whole seconds up to its ttl. The first callback
        also says that the work has begun: what the handler answers doesn't count after it.

        Raises:
            ExecutionOver: it has ended, or a newer attempt has begun. Stop working.
            NotFound: there never was such an execution, or it's long gone. Stop working.
            ValueError: `progress` isn't from 0 to 100.
        """
        said: dict[str, Any] = {"status": "processing"}
        if progress is not None:
            said["progress"] = percentage(progress)
        if extend is not None:
            said["extend_seconds"] = max(1, math.ceil(seconds(extend)))
        try:
            # One that hangs must not keep the next ones back until they are missed.
            self._post(strict_json.dumps(said), min(self._timeout, max(1.0, self.interval / 3)))
        except (ExecutionOver, NotFound) as error:
            if not self.finished:
                self._lost = error
            raise
        except ApiError as error:
            if not _may_be_taken_later(error):
                raise
            return False
        return True

    def succeed(
        self,
        *,
        summary: str | None = None,
        state: Any = None,
        correlation_id: str | None = None,
        within: float | None = None,
    ) -> None:
        """Tell that the work is done. Repeated until that is answered, for at most `within` s.

        `state` is any JSON (64 KiB); the next runs of a service job get it. A long `summary` is
        cut.

        Raises:
            ExecutionOver, NotFound: somebody else has ended it.
            ApiError: nobody has taken it in that time, or a field breaks a rule.
            TypeError, ValueError: `state` can't be written as JSON.
        """
        self._finish(
            {"status": "success", "state": state, "correlation_id": correlation_id},
            summary,
            within,
        )

    def fail(
        self,
        error: str | Mapping[str, Any] | BaseException | None = None,
        *,
        summary: str | None = None,
        correlation_id: str | None = None,
        within: float | None = None,
    ) -> None:
        """Tell that the work failed: an item is tried again by its retry policy.

        `error` is text, an object (64 KiB), or an exception. Repeated, and raises, as `succeed`;
        long text is cut.
        """
        reason: Any = error
        if isinstance(error, BaseException):
            reason = reason_of(error, show_errors=self.show_errors)
        elif isinstance(error, Mapping):
            reason = dict(error)
        elif isinstance(error, str):
            reason = error[:MAX_TEXT]
        said = {"status": "fail", "error": reason, "correlation_id": correlation_id}
        self._finish(said, summary, within)

    def working(self) -> Working:
        """Send heartbeats beside the work until the block ends, then tell how; see `Working`."""
        return Working(self)

    def _finish(self, said: dict[str, Any], summary: str | None, within: float | None) -> None:
        told = {**said, "summary": None if summary is None else summary[:MAX_SUMMARY]}
        body = _encoded({name: value for name, value in told.items() if value is not None})
        until = self._clock() + (self._patience if within is None else within)
        self._ending = True
        try:
            self._repeat(body, until)
            self._finished = True
        except (ExecutionOver, NotFound) as error:
            self._lost = error
            raise
        finally:
            self._ending = False

    def _repeat(self, body: bytes, until: float) -> None:
        """Post the same bytes until they are answered: the server knows them again."""
        pause = FIRST_PAUSE
        while True:
            try:
                return self._post(body, min(self._timeout, max(1.0, until - self._clock())))
            except ApiError as error:
                wait = max(pause * (0.5 + self._chance() / 2), error.retry_after or 0.0)
                if not _may_be_taken_later(error) or self._clock() + wait > until:
                    raise
            self._sleep(wait)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _post(self, body: bytes, timeout: float) -> None:
        url = f"{self._api_url}/api/v1/callback/{self._token}"
        response = self._transport.send(Request("POST", url, HEADERS, body, timeout))
        answer = parsed(response, self._api_url)
        if not 200 <= response.status <= 299:
            raise error_of(response, answer)
        self._begun = True


def _may_be_taken_later(error: ApiError) -> bool:
    return error.status is None or error.status in (408, 429) or error.status >= 500


def _encoded(said: Mapping[str, Any]) -> bytes:
    try:
        return strict_json.dumps(said)
    except RecursionError:
        raise ValueError("it contains itself, or is nested too deeply") from None


def _token(url: str, api_url: str) -> str:
    """Return the token of a callback URL.

    Raises:
        ConfigurationError: it isn't of the LambdaQueue at `api_url`.
    """
    token = callback_token(url, api_url)
    if token is None:
        raise ConfigurationError(
            f"callbacks go to {api_url} only, and this one is asked for elsewhere "
            f"({url.partition('/api/')[0][:100]!a}): set LQ_API_URL to the origin that the server "
            "has as its LQ_PUBLIC_URL"
        )
    return token
