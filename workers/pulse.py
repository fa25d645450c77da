"""A worker's signs of life, and what follows when Redis hears none.

beat every 2 s ─► renew leases every 10 s
    │ declared dead: `dead`, until the worker comes back under a new name
    └ silence of 8 s: give up, because at 10 others may take the jobs
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from lambdaqueue.attempts import BEAT_EVERY, RENEW_EVERY, AttemptStore
from lambdaqueue.errors import StorageUnavailable, WorkerDeclaredDead
from lambdaqueue.logs import Log
from workers.ending import end

__all__ = ["GIVE_UP", "Pulse"]

log = Log("lambdaqueue.worker")

GIVE_UP = 8.0
"""Seconds without a renewal after which calls are aborted: at 10 others may take the jobs."""

DEAD_PAUSE = 0.2
"""Seconds between two looks whether the worker lives again."""


class Pulse:
    """Beats for one worker between `start` and `stop`.

    `held` names the jobs whose leases are to be renewed. `on_death` is called when the worker was
    declared dead, `on_silence` when it must give up its calls, again and again while that lasts.
    """

    def __init__(
        self,
        store: AttemptStore,
        held: Callable[[], Sequence[str]],
        *,
        on_death: Callable[[], None],
        on_silence: Callable[[], None],
    ) -> None:
        self._store = store
        self._held = held
        self._on_death = on_death
        self._on_silence = on_silence
        self._beaten_at = time.monotonic()
        self._beating: asyncio.Task[None] | None = None
        self.dead = False

    def start(self) -> None:
        """Begin to beat, on the running loop."""
        self._beating = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Beat no more; a beat that was on its way has ended when this returns."""
        if self._beating is not None:
            await end(self._beating)

    def revive(self) -> None:
        """Go on: the worker has a new name."""
        self._beaten_at = time.monotonic()
        self.dead = False

    def die(self) -> None:
        """Take note that the worker was declared dead."""
        self.dead = True
        self._on_death()

    async def _live(self) -> None:
        renewed_at = time.monotonic()
        while True:
            now = time.monotonic()
            renew = now - renewed_at >= RENEW_EVERY
            if await self._beat(renew):
                self._beaten_at = now
                renewed_at = now if renew else renewed_at
            self._give_up_in_silence()
            await asyncio.sleep(min(BEAT_EVERY, self._patience()))
            self._give_up_in_silence()
            while self.dead:
                await asyncio.sleep(DEAD_PAUSE)

    async def _beat(self, renew: bool) -> bool:
        """Give one sign of life; True if it was heard."""
        name = self._store.incarnation
        try:
            # However silent the connection is, not longer than until calls are aborted.
            async with asyncio.timeout(self._patience()):
                await self._store.beat(self._held() if renew else ())
        except WorkerDeclaredDead:
            # The answer to a beat under our last name says nothing of the one we have now.
            if name == self._store.incarnation:
                self.die()
        except (StorageUnavailable, TimeoutError) as error:
            log.warning("beat_failed", reason=str(error) or "no answer")
        else:
            return True
        return False

    def _patience(self) -> float:
        """Seconds until calls must be aborted; where that's past, the usual pause."""
        left = self._beaten_at + GIVE_UP - time.monotonic()
        return left if left > 0 else BEAT_EVERY

    def _give_up_in_silence(self) -> None:
        if time.monotonic() - self._beaten_at >= GIVE_UP:
            self._on_silence()
