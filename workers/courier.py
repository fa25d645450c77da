"""The run loop of a worker: claim, send, settle, many at once, on one event loop."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from lambdaqueue.attempts import AttemptStore, Kind, Settlement
from lambdaqueue.claims import Claim
from lambdaqueue.errors import SecretUnreadable, StorageUnavailable, WorkerDeclaredDead
from lambdaqueue.logs import Log
from lambdaqueue.outcome import Answer, ErrorClass
from workers.attempt import conclude, put_off, returned
from workers.caller import Caller
from workers.crowding import Crowding
from workers.ending import end
from workers.invoking import NotToBeSent
from workers.outbox import Outbox
from workers.pulse import GIVE_UP, Pulse

__all__ = ["ANSWER_WITHIN", "Courier"]

log = Log("lambdaqueue.worker")

T = TypeVar("T")

LOOK_AGAIN = 2.0
"""Seconds that one blocking look at the line lasts."""

ANSWER_WITHIN = LOOK_AGAIN + 3.0
"""Seconds for any answer of Redis: a connection that died without a word must not hold us up."""

HELD_BACK_PAUSE = 0.02
SUSPENDED_PAUSE = 1.0
AWAY_PAUSE = 0.2
"""Seconds until the next try: while others must take what is ready, while RQ is suspended, and
while Redis is away."""


class Courier:
    """Delivers jobs until it's told to stop. One instance for one process."""

    def __init__(
        self,
        store: AttemptStore,
        caller: Caller,
        *,
        slots: int,
        grace: float,
        burst: bool = False,
        host_slots: int = 0,
    ) -> None:
        self._store = store
        self._caller = caller
        self._slots = slots
        self._crowding = Crowding(slots, host_slots)
        self._grace = grace
        self._burst = burst
        self._out: dict[str, tuple[Claim, asyncio.Task[None]]] = {}
        self._news = asyncio.Event()
        self._outbox = Outbox(store, self._persist, self._news.set)
        self._looking: asyncio.Task[bool] | None = None
        self._pause: float | None = None
        self._line_empty = self._more = False
        self._stopping = self._aborting = False
        self._pulse = Pulse(
            store, self._held, on_death=self._news.set, on_silence=self._give_up_in_silence
        )
        self._deadline = math.inf
        self.suspended = False

    @property
    def delivered(self) -> int:
        """How many attempts have succeeded."""
        return self._outbox.delivered

    @property
    def failed(self) -> int:
        """How many attempts have failed."""
        return self._outbox.failed

    @property
    def busy(self) -> bool:
        """True while calls are out."""
        return bool(self._out)

    async def run(self) -> bool:
        """Work until `stop`; True when everything was finished, False when calls were cut off."""
        try:
            await self._persist(self._store.join)
            self._pulse.start()
            while not self._stopping and not self._exhausted():
                await self._rise_again()
                self._outbox.commit_aside()
                await self._claim()
                await self._rest()
            return await self._drain()
        except StorageUnavailable as error:
            log.error("outcomes_not_stored", reason=error, then="their leases will run out")
            return False
        finally:
            await self._pulse.stop()
            await self._caller.close()

    def stop(self) -> None:
        """Claim nothing more, finish what is out, then end `run`; a second call cuts it short."""
        self._aborting = self._stopping
        self._stopping = True
        self._deadline = min(self._deadline, time.monotonic() + self._grace)
        self._news.set()

    def stop_attempt(self, job_id: str) -> None:
        """End a call that is out, as its operator asked: the job has FAILED, `cancelled`."""
        for claim, task in [each for each in self._out.values() if each[0].id == job_id]:
            del self._out[claim.token]
            task.cancel()
            self._conclude(claim, Answer(failure=ErrorClass.CANCELLED))

    # The steps

    async def _claim(self) -> None:
        self._pause, self._more = None, False
        free = self._slots - len(self._out)
        if free <= 0 or self._stopping:
            return
        # A quarter at a time: while Redis hands it out, the calls of the others are out.
        most = min(free, max(1, self._slots // 4))
        try:
            claimed = await self._store.claim(most)
        except WorkerDeclaredDead:
            self._pulse.die()
            return
        except StorageUnavailable as error:
            log.warning("storage_unavailable", reason=error, then="looking again")
            self._pause = AWAY_PAUSE
            return
        self._line_empty = len(claimed.claims) < most
        self._more = not self._line_empty and most < free
        self.suspended = claimed.suspended
        if claimed.suspended:
            self._pause = SUSPENDED_PAUSE
        elif claimed.held_back and not claimed.claims:
            self._pause = HELD_BACK_PAUSE
        self._send(claimed.claims)
        for claim, reason in claimed.unreadable:
            log.error("job_unreadable", id=claim.id, reason=reason)
            self._finish(put_off(claim, ""))

    def _send(self, claims: Sequence[Claim]) -> None:
        """Start the calls; what was claimed while a stop came goes back as if it never was."""
        for claim in claims:
            if self._stopping:
                self._outbox.add(returned(claim, Kind.UNSENT))
            elif not self._crowding.enter(claim):
                self._outbox.add(self._crowding.put_off(claim))
            else:
                task = asyncio.create_task(self._attempt(claim))
                task.add_done_callback(partial(self._crowding.leave, claim))
                self._out[claim.token] = (claim, task)

    async def _rest(self) -> None:
        """Sleep until an outcome is there, a slot is free and a job ready, or a pause is over."""
        if self._must_go_on():
            self._news.clear()
            await asyncio.sleep(0)
            return
        waits: set[asyncio.Future[bool]] = {asyncio.ensure_future(self._news.wait())}
        if self._pause is None and len(self._out) < self._slots:
            if self._looking is None:
                self._looking = asyncio.create_task(self._look())
            waits.add(self._looking)
        await asyncio.wait(waits, timeout=self._pause, return_when=asyncio.FIRST_COMPLETED)
        if self._looking is not None and self._looking.done():
            self._looking = None
        self._news.clear()
        for wait in waits - {self._looking}:
            wait.cancel()

    def _must_go_on(self) -> bool:
        done = self._stopping or self._pulse.dead or self._exhausted()
        return self._outbox.waiting or self._more or done

    async def _look(self) -> bool:
        try:
            return await self._store.wait_for_ready(LOOK_AGAIN)
        except StorageUnavailable:
            await asyncio.sleep(AWAY_PAUSE)
            return False

    async def _attempt(self, claim: Claim) -> None:
        try:
            answer = await self._caller.call(claim)
        except SecretUnreadable as error:
            log.error("secret_unreadable", environment=claim.environment, reason=error)
            if self._out.pop(claim.token, None):
                self._finish(put_off(claim, f"{ErrorClass.UNVERIFIED}: {error}"))
            return
        except (NotToBeSent, StorageUnavailable) as error:
            # That a callback came first is no trouble.
            tell = log.debug if isinstance(error, NotToBeSent) else log.warning
            tell("not_sent", id=claim.id, reason=type(error).__name__)
            if self._out.pop(claim.token, None):
                self._finish(returned(claim, Kind.UNSENT))
            return
        except Exception as error:
            # A mistake of ours must not take the other calls with it; history will tell.
            log.error("attempt_broke", cause=error, id=claim.id)
            answer = Answer(
                failure=ErrorClass.BAD_RESPONSE, detail=f"internal error: {type(error).__name__}"
            )
        self._crowding.hear(claim, answer)
        if self._out.pop(claim.token, None):
            self._conclude(claim, answer)

    def _conclude(self, claim: Claim, answer: Answer) -> None:
        self._finish(conclude(claim, answer, random.random()))

    def _finish(self, settlement: Settlement) -> None:
        self._outbox.add(settlement)
        self._news.set()

    async def _drain(self) -> bool:
        """Finish what is out within the grace time, hand back the rest."""
        if self._looking is not None:
            await end(self._looking)
        await self._outbox.committed()
        while self._out and not self._aborting and time.monotonic() < self._deadline:
            await self._outbox.commit()
            if self._pulse.dead:
                break
            self._news.clear()
            tasks = [task for _, task in self._out.values()]
            stopped = asyncio.ensure_future(self._news.wait())
            await asyncio.wait(
                [*tasks, stopped],
                timeout=max(0.0, self._deadline - time.monotonic()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            stopped.cancel()
        complete = not self._out
        if self._pulse.dead:
            self._abandon()
        self._hand_back()
        await self._outbox.commit()
        await self._persist(self._store.leave)
        return complete

    # Staying alive

    def _give_up_in_silence(self) -> None:
        if self._out:
            log.error("calls_aborted", reason=f"no renewal for {GIVE_UP} s")
            self._hand_back()

    async def _rise_again(self) -> None:
        """Silent for too long, our jobs are others' by now: abort them, take a new name."""
        if not self._pulse.dead:
            return
        log.error("declared_dead", aborted=len(self._out))
        self._abandon()
        await self._outbox.committed()
        await self._persist(self._store.join)
        self._pulse.revive()

    def _abandon(self) -> None:
        for _, task in self._out.values():
            task.cancel()
        self._out.clear()

    def _hand_back(self) -> None:
        for claim, task in self._out.values():
            task.cancel()
            self._outbox.add(returned(claim, Kind.RELEASED))
        self._out.clear()
        self._news.set()

    def _held(self) -> list[str]:
        return [*(claim.id for claim, _ in self._out.values()), *self._outbox.jobs]

    def _exhausted(self) -> bool:
        idle = not self._out and self._outbox.idle
        return self._burst and self._line_empty and idle and self._pause is None

    async def _persist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until Redis answers, but not for ever when we are to stop."""
        while True:
            try:
                return await call()
            except StorageUnavailable as error:
                if self._aborting or time.monotonic() > self._deadline:
                    raise
                log.warning("storage_unavailable", reason=error, then="trying again")
                await asyncio.sleep(AWAY_PAUSE)
