"""The jobs of the in-memory server: what `scripts/*.lua` do in Redis, for one process.

Nothing here knows of HTTP or of callbacks; whoever has ended an attempt says so by an `Outcome`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lambdaqueue.claims import Claim
from lambdaqueue.commands import Change, Push, Pushed
from lambdaqueue.errors import Conflict, InvalidRequest, NotFound
from lambdaqueue.execution import Final
from lambdaqueue.job import Job, Place, Result, State
from lambdaqueue.spec import FollowUp
from lambdaqueue.testing.follow_ups import follow_up
from lambdaqueue.testing.queues import QueueState
from lambdaqueue.testing.records import Record, Version
from lambdaqueue.testing.shelf import NO_ITEM, NO_TARGET, Shelf, found

__all__ = ["Jobs", "Outcome"]

Follow = FollowUp | Literal["none"] | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `at` (Unix ms) is when the next one is due; `most` is how many
    attempts there might have been."""

    kind: Literal["completed", "retry", "failed"]
    at: int = 0
    error: str = ""
    log: bytes = b""
    result: Result | None = None
    final: Final | None = None
    most: int | None = None


@dataclass(slots=True)
class Jobs(Shelf):
    """What becomes of jobs, and when."""

    _claims: int = 0

    def push(self, queue: str, pushes: Sequence[Push]) -> list[Pushed]:
        """Store jobs, all or none.

        Raises:
            InvalidRequest: one has no target, nor has its queue; the path is `items` and its index.
        """
        known = self.queues.found(queue)
        if known is None or known.settings.target is None:
            for index, push in enumerate(pushes):
                if push.spec.target is None:
                    raise InvalidRequest([NO_TARGET.at("items", index)])
        self.queues.made(queue)
        return [self._store(queue, push) for push in pushes]

    def cancel(self, item_id: str, *, at_once: bool = False) -> Job:
        """End a waiting job, or see to it that a running one is not tried again."""
        self.check_own(item_id)
        record = self.records.get(item_id)
        if record is None:
            raise NotFound(NO_ITEM)
        if record.state is not State.RUNNING or at_once:
            seen = replace(self.shown(record), state=State.CANCELLED)
            self.end(record, State.CANCELLED, Outcome("failed", error="cancelled: on request"))
            return seen
        top = record.successor.number if record.successor else record.top
        self.keep(replace(record, dropped=True, successor=None, top=top))
        return self.shown(self.records[item_id])

    def cancel_by_key(self, queue: str, key: str) -> Job:
        """The same for the job with a key."""
        return self.cancel(self.unprocessed(queue, key).id)

    def change(self, item_id: str, change: Change) -> Job:
        """Give a job a new version: what `change` names is new, the rest stays."""
        self.check_own(item_id)
        record = self.records.get(item_id)
        if record is None:
            raise NotFound(NO_ITEM)
        base = record.successor or record.version
        if base.spec.service is not None:
            raise Conflict("an execution is as its service job was: change that")
        spec = replace(base.spec, **change.spec)
        self.check_target(record.queue, spec)
        stays = record.successor.due if record.successor else record.due
        if record.state is State.RUNNING and record.successor is None:
            stays = self.now()
        due = stays if change.delay is None and change.on is None else self._due(change)
        priority = base.priority if change.priority is None else change.priority
        return self.shown(self._supersede(record, Version(0, spec, due, priority)))

    def change_by_key(self, queue: str, key: str, change: Change) -> Job:
        """The same for the job with a key."""
        return self.change(self.unprocessed(queue, key).id, change)

    def run_now(self, item_id: str) -> Job:
        """Make a waiting job due now."""
        self.check_own(item_id)
        record = self.records.get(item_id)
        if record is None:
            found(self.newest(item_id))
            raise Conflict("the item has ended")
        if record.state is State.RUNNING:
            raise Conflict("the item runs already")
        return self.shown(self.keep(replace(record, due=min(record.due, self.now()))))

    def begin(self, record: Record) -> Claim | None:
        """Begin an attempt; None where the job's max age is over: it has ended then."""
        now, expires = self.now(), record.version.expires
        if expires is not None and expires < now:
            error = "expired: its max age is over"
            self.end(record, State.FAILED, Outcome("failed", error=error))
            return None
        self._claims += 1
        running = replace(
            record,
            state=State.RUNNING,
            attempt=record.attempt + 1,
            started=now,
            token=str(self._claims),
        )
        return self.keep(running).claim(self.queues.policies(record.queue))

    def conclude(self, record: Record, outcome: Outcome) -> None:
        """Commit how the running attempt ended, with everything that follows from it."""
        queue = self.queues.made(record.queue)
        queue.hear(None if outcome.kind == "completed" else outcome.error, self.now())
        if outcome.kind == "completed":
            self.end(record, State.COMPLETED, outcome)
        elif record.dropped:
            self.end(record, State.CANCELLED, replace(outcome, error="cancelled: on request"))
        elif record.successor is not None:
            error = "superseded: by a newer version"
            self.end(record, State.CANCELLED, replace(outcome, error=error))
        elif outcome.kind == "failed":
            self.end(record, State.FAILED, outcome)
        else:
            self._retry(record, outcome)

    def purge(self, queue: str, state: State | None) -> int:
        """Delete jobs that wait without a trace, or entries of history; returns how many."""
        known = self.queues.info(queue)
        if state is not None and state.ended:
            return known.forget(state)
        gone = [
            record
            for record in self.records.values()
            if record.queue == queue
            and record.state is not State.RUNNING
            and record.state is (state or record.state)
        ]
        for record in gone:
            self.forget(record)
        known.count_purged(len(gone), self.now())
        return len(gone)

    def _store(self, queue: str, push: Push) -> Pushed:
        version = Version(1, push.spec, self._due(push), push.priority)
        record = None if push.key is None else self.with_key(queue, push.key)
        if record is None:
            made = self.create(queue, version, key=push.key)
            return Pushed(self.shown(made), Place.CREATED)
        unprocessed = not record.dropped or record.successor is not None
        if push.if_exists == "keep" and unprocessed:
            return Pushed(self.shown(record), Place.KEPT)
        replaced = self._supersede(record, version)
        place = Place.PENDING if replaced.successor else Place.REPLACED
        return Pushed(self.shown(replaced), place)

    def _supersede(self, record: Record, version: Version) -> Record:
        latest = record.successor.number if record.successor else record.version.number
        version = replace(version, number=max(latest, record.top) + 1)
        if record.state is State.RUNNING:
            return self.keep(replace(record, successor=version))
        return self.keep(_renewed(record, version))

    def _retry(self, record: Record, outcome: Outcome) -> None:
        retried = replace(
            record,
            state=State.RETRY,
            due=outcome.at,
            first=record.first_due,
            failures=record.failures + 1,
            log=outcome.log,
            token="",
            started=None,
        )
        self.keep(retried)

    def end(self, record: Record, state: State, outcome: Outcome) -> None:
        """Put how a job's version ended into history; a version that is to follow takes over."""
        queue = self.queues.made(record.queue)
        job = self.running(replace(record, log=outcome.log or record.log))
        spec = replace(job.spec, payload=b"") if state is State.COMPLETED else job.spec
        ended = replace(
            job,
            state=state,
            spec=spec,
            error=None if state is State.COMPLETED else outcome.error,
            result=outcome.result,
            final=outcome.final,
            max_attempts=outcome.most or job.max_attempts,
        )
        entry = queue.record(ended, self.now())
        self._ended[entry.id] = queue.name, entry.entry or ""
        if record.successor is None:
            self.forget(record)
        else:
            self.keep(_renewed(record, record.successor))
        if not record.is_follow_up:
            self._follow_up(queue, entry)

    def _follow_up(self, queue: QueueState, job: Job) -> None:
        settings, spec = queue.settings, job.spec
        wanted: Mapping[State, tuple[Follow, Follow]] = {
            State.COMPLETED: (spec.on_success, settings.on_success),
            State.FAILED: (spec.on_failure, settings.on_failure),
        }
        own, of_queue = wanted.get(job.state, (None, None))
        follow = of_queue if own is None else own
        if isinstance(follow, FollowUp):
            version = Version(1, follow_up(follow, job), self.now())
            self.create(follow.queue, version, is_follow_up=True)

    def _due(self, when: Push | Change) -> int:
        now = self.now()
        if when.delay is not None:
            return now + when.delay
        return now if when.on is None else max(now, when.on)


def _renewed(record: Record, version: Version) -> Record:
    """Return a job as a new version of it begins: without attempts."""
    return Record(
        id=record.id,
        queue=record.queue,
        version=version,
        due=version.due,
        key=record.key,
        occurrence=record.occurrence,
        tokens=record.all_tokens,
        is_follow_up=record.is_follow_up,
    )
