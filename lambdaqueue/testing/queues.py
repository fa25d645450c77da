"""The queues of the in-memory server: settings, counts, and the jobs that have ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from lambdaqueue.commands import Endings, HistoryFilter, LastError, QueueInfo, QueueStats
from lambdaqueue.errors import NotFound
from lambdaqueue.job import Job, State
from lambdaqueue.queue_settings import Policies, QueueSettings
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.signing import Secret

__all__ = ["QueueState", "Queues", "position", "shown"]

HOUR, DAY, PIECE = 3_600_000, 86_400_000, 300_000

KINDS = {State.COMPLETED: "c", State.FAILED: "f", State.CANCELLED: "f"}


@dataclass(slots=True)
class QueueState:
    """One queue. `ended` are the entries of its history by name, the oldest first."""

    name: str
    settings: QueueSettings = field(default_factory=QueueSettings)
    paused: bool = False
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    last_error: LastError | None = None
    ended: dict[str, Job] = field(default_factory=dict)
    secret: Secret = field(default_factory=Secret.generate)
    _counted: list[tuple[int, State, str]] = field(default_factory=list)
    _kept: Counter[str] = field(default_factory=Counter)
    _last: tuple[int, int] = (0, 0)

    def hear(self, error: str | None, now: int) -> None:
        """Note how an attempt ended: the newest failure stays until the next success."""
        self.last_error = None if error is None else LastError(error, now)

    def record(self, job: Job, now: int) -> Job:
        """Put a job that ends at `now` into history, within its limits; returns the entry."""
        kind, (at, number) = KINDS[job.state], self._last
        # The clock stands still: of all that ends at one moment the number tells which came first.
        self._last = now, number + 1 if at == now else 0
        entry = replace(job, entry=f"{kind}{now}-{self._last[1]}", ended_at=now)
        self.ended[entry.entry or ""] = entry
        self._counted.append((now, job.state, (job.error or "?").partition(":")[0]))
        self._kept[kind] += 1
        counter = job.state.lower()
        setattr(self, counter, getattr(self, counter) + 1)
        self._trim(kind)
        return entry

    def count_purged(self, jobs: int, now: int) -> None:
        """Count jobs that were deleted without an entry: they are cancelled, too."""
        self.cancelled += jobs
        self._counted += [(now, State.CANCELLED, "")] * jobs

    def forget(self, state: State) -> int:
        """Forget the entries of one state; returns how many there were."""
        gone = [name for name, job in self.ended.items() if job.state is state]
        self._drop(gone)
        return len(gone)

    def stats(self, now: int) -> QueueStats:
        """Count what ended in the last hour, to five minutes, and today (UTC)."""
        hour = (now // PIECE - HOUR // PIECE + 1) * PIECE
        return QueueStats(self._endings(hour), self._endings(now // DAY * DAY))

    def _endings(self, since: int) -> Endings:
        seen = [(state, error) for at, state, error in self._counted if at >= since]
        states = Counter(state for state, _ in seen)
        classes = Counter(error for state, error in seen if state is State.FAILED)
        return Endings(
            states[State.COMPLETED],
            states[State.FAILED],
            states[State.CANCELLED],
            dict(sorted(classes.items())),
        )

    def _trim(self, kind: str) -> None:
        limit = self.settings.history_limit if kind == "c" else self.settings.failed_limit
        over = self._kept[kind] - limit
        if over > 0:
            mine = (name for name in self.ended if name.startswith(kind))
            self._drop(list(islice(mine, over)))

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            del self.ended[name]
            self._kept[name[0]] -= 1


class Queues:
    """All queues, by name. `retry` is the environment's policy."""

    def __init__(self) -> None:
        self._queues: dict[str, QueueState] = {}
        self.retry: RetryPolicy | None = None

    def __iter__(self) -> Iterator[QueueState]:
        """Yield them by name."""
        return iter([self._queues[name] for name in sorted(self._queues)])

    def found(self, name: str) -> QueueState | None:
        """Return a queue; None where nothing was ever pushed to it or set."""
        return self._queues.get(name)

    def info(self, name: str) -> QueueState:
        """Return a queue; raises NotFound."""
        found = self.found(name)
        if found is None:
            raise NotFound("there is no such queue")
        return found

    def made(self, name: str) -> QueueState:
        """Return a queue, made where there was none."""
        if name not in self._queues:
            self._queues[name] = QueueState(name)
        return self._queues[name]

    def drop(self, name: str) -> None:
        """Forget a queue with its history."""
        del self._queues[name]

    def policies(self, name: str) -> Policies:
        """Return what holds for the jobs of a queue."""
        found = self.found(name)
        return Policies(found.settings if found else QueueSettings(), self.retry)

    def history(self, name: str, where: HistoryFilter | None = None) -> Iterator[Job]:
        """Yield ended jobs of a queue, the newest first."""
        found, where = self.found(name), where or HistoryFilter()
        for job in reversed(found.ended.values() if found else ()):
            if _matches(where, job):
                yield job


def shown(state: QueueState, waiting: int, running: int) -> QueueInfo:
    """Return a queue as callers see it."""
    return QueueInfo(
        name=state.name,
        paused=state.paused,
        waiting=waiting,
        running=running,
        completed=state.completed,
        failed=state.failed,
        cancelled=state.cancelled,
        settings=state.settings,
        last_error=state.last_error,
    )


def position(job: Job) -> tuple[int, int, str]:
    """Return where an entry stands in history: its time, its number in that, its kind."""
    assert job.entry is not None
    ms, _, number = job.entry[1:].partition("-")
    return int(ms), int(number), job.entry[0]


def _matches(where: HistoryFilter, job: Job) -> bool:
    ended = job.ended_at or 0
    return (
        (where.key is None or job.key == where.key)
        and (where.state is None or job.state is where.state)
        and (where.since is None or ended >= where.since)
        and (where.until is None or ended <= where.until)
    )
