"""Heartbeats beside the work, in a thread, and the end of the work told of by itself."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lambdaqueue.sdk.errors import ApiError, ExecutionOver, InvalidRequest

if TYPE_CHECKING:
    from lambdaqueue.sdk.execution import Execution

__all__ = ["Working", "percentage"]

log = logging.getLogger("lambdaqueue")

SOONEST = 1.0
"""Seconds between two heartbeats, however often there is progress: ten a second are refused."""

JOINED = 1.0
"""Seconds that the end waits for the thread of the heartbeats; one that hangs ends by itself."""


LAST_WORDS = 3.0
"""Seconds for telling of an exception like SystemExit: the process is about to end."""


class Working:
    """Work that LambdaQueue is told of while it goes on, `with job.working() as work:`.

    Heartbeats are sent from the start, and then every third of the interval or sooner when there
    is progress, by a thread beside the work, so the work needn't think of them. The end of the
    block is the end of the execution: `succeed`, with `summary`, `state` and `correlation_id` as
    they are then, or `fail` with the exception, which goes on. Where the block itself has told
    how it ended, nothing more is said.

    When somebody else has ended it (cancelled, its time is over, a newer attempt has begun), `over`
    is set, and `progress` and `check` raise; work that calls none of them isn't stopped. The end
    of the block raises then as well: nobody has taken what came of it.

    Heartbeats say that the process lives, not that the work gets anywhere: for work that hangs
    there is its ttl. They end with the process, whatever ends that. Where a signal becomes an
    exception (KeyboardInterrupt, or SystemExit by a handler of SIGTERM), that is told, for at most
    3 s.

    Where the host stops a process after its answer (AWS Lambda, Vercel), the block must end before
    the handler returns: nothing works after that, and no heart beats.

    In a coroutine: `async with job.working() as work:`. There, only the ends of the block take
    the time of a callback, and that in a thread.
    """

    def __init__(self, execution: Execution) -> None:
        self.summary: str | None = None
        self.state: Any = None
        self.correlation_id: str | None = None
        self.over = threading.Event()
        self._execution = execution
        self._progress: float | None = None
        self._stop = threading.Event()
        self._wake = threading.Event()
        # A thread that outlives everything else would tell for ever that the work goes on.
        self._thread = threading.Thread(
            target=self._beat_on, name=f"lambdaqueue {execution.name}", daemon=True
        )

    def progress(self, percent: float) -> None:
        """Show how far the work has come, from 0 to 100; sent with the next heartbeat.

        Raises:
            ExecutionOver, NotFound: as `check`.
            ValueError: `percent` is something else.
        """
        self._progress = percentage(percent)
        self.check()
        self._wake.set()

    def check(self) -> None:
        """Do nothing while the work has a sense.

        Raises:
            ExecutionOver, NotFound: somebody else has ended it. Stop working.
        """
        if self._execution.lost is not None:
            raise self._execution.lost

    def __enter__(self) -> Working:
        if not self._beat():
            self.check()
            raise ExecutionOver("how this work ended has been told already")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._wake.set()
        try:
            if error is None:
                self._tell_success()
            else:
                self._tell_failure(error)
        finally:
            self._thread.join(JOINED)

    async def __aenter__(self) -> Working:
        entering = asyncio.ensure_future(asyncio.to_thread(self.__enter__))
        try:
            return await asyncio.shield(entering)
        except asyncio.CancelledError:
            # There will be no end of the block to stop the heartbeats, which may be beginning.
            self._stop.set()
            self._wake.set()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Who is cancelled must not be left without an end.
        await asyncio.shield(asyncio.to_thread(self.__exit__, kind, error, trace))

    def _tell_success(self) -> None:
        if self._execution.finished:
            return
        self.check()
        try:
            self._execution.succeed(
                summary=self.summary, state=self.state, correlation_id=self.correlation_id
            )
        except (InvalidRequest, TypeError, ValueError) as refused:
            # Else it would be waited for, and done again, and end like that each time.
            self._tell_failure(refused)
            raise

    def _tell_failure(self, error: BaseException) -> None:
        if self._execution.over or self._execution.finished:
            return
        within = None if isinstance(error, Exception) else LAST_WORDS
        try:
            self._execution.fail(error, within=within)
        except ApiError as untold:
            log.warning("%r failed, and nobody has taken that: %s", self._execution, untold)

    def _beat_on(self) -> None:
        usual = self._execution.interval / 3
        soonest, sent = min(SOONEST, usual), time.monotonic()
        while not self._stop.is_set():
            self._wake.wait(usual)
            if self._stop.wait(max(0.0, sent + soonest - time.monotonic())):
                return
            self._wake.clear()
            sent = time.monotonic()
            if not self._beat():
                return

    def _beat(self) -> bool:
        """Send a heartbeat; return False when there is no sense in more of them."""
        try:
            self._execution.heartbeat(self._progress)
        except ApiError as error:
            if self._execution.finished:
                return False  # It came after the end, in a race that doesn't matter.
            if self._execution.lost is not None:
                self.over.set()
                return False
            log.warning("a heartbeat of %r was refused: %s", self._execution, error)
        except Exception:
            # A heart that stops for that would end the work with it.
            log.exception("a heartbeat of %r couldn't be sent", self._execution)
        return True


def percentage(value: float) -> float:
    """Return `value` as JSON has it.

    Raises:
        ValueError: it isn't from 0 to 100.
    """
    if not 0 <= value <= 100:
        raise ValueError(f"progress is a number from 0 to 100, not {value!r}")
    return int(value) if float(value).is_integer() else float(value)
