"""The use case of looking: what an environment is up to, and what is wrong there."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lambdaqueue.alerts import NEARLY_FULL
from lambdaqueue.connection import Redis
from lambdaqueue.stats import Bar, Recent, Span, StatsStore
from lambdaqueue.survey import Coming, Glance, Server, SurveyStore

__all__ = ["Alarm", "Overview", "Overviews", "QueueSums", "alarms_of_server"]

MOST_SHOWN = 12
"""Queues, and schedules, that an overview names."""

MOST_ALARMS = 8
"""Queues that are named for each kind of trouble; the others are counted."""

FRESH = 5.0
"""Seconds for which an overview is given again: any number of viewers load Redis like one."""

SILENT = 30_000
"""ms after which a scheduler that has not ticked is taken for dead: it does 20 times a second."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong; `tone` is bad or warn. `queue` is "" where it's about no queue."""

    tone: str
    text: str
    queue: str = ""


@dataclass(frozen=True, slots=True)
class QueueSums:
    """What all queues of an environment hold together. `failed` counts all jobs that ever did."""

    queues: int
    waiting: int
    running: int
    failed: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What an environment was up to at one moment; `busiest` is by name."""

    sums: QueueSums
    busiest: Sequence[Glance]
    alarms: Sequence[Alarm]
    coming: Sequence[Coming]
    server: Server
    queues_to_come: frozenset[str]
    """Queues of `coming` that aren't there yet: their first item makes them."""


class Overviews:
    """Makes overviews, and remembers the newest of each environment for `FRESH`."""

    def __init__(self, client: Redis, fresh: float = FRESH) -> None:
        self._survey = SurveyStore(client)
        self._stats = StatsStore(client)
        self._fresh = fresh
        self._known: dict[str, tuple[float, Overview]] = {}

    def of(self, environment: str) -> Overview:
        """Return an environment's overview.

        Raises:
            StorageUnavailable
        """
        made_at, known = self._known.get(environment, (0.0, None))
        if known is not None and time.monotonic() - made_at < self._fresh:
            return known
        made = self._made(environment)
        self._known[environment] = (time.monotonic(), made)
        return made

    def recent(self, environment: str, queue: str) -> Recent:
        """Return what happened in a queue lately."""
        return self._stats.recent(environment, queue)

    def bars(self, environment: str, queues: Sequence[str], span: Span) -> dict[str, list[Bar]]:
        """Return what happened in some queues, in bars of the last hour or day."""
        return self._stats.many(environment, queues, span)

    def _made(self, environment: str) -> Overview:
        glances = list(self._survey.glances(environment))
        server = self._survey.server()
        busiest = heapq.nlargest(MOST_SHOWN, glances, key=_business)
        coming = self._survey.coming(environment, MOST_SHOWN)
        known = {glance.name for glance in glances}
        return Overview(
            sums=_sums(glances),
            busiest=sorted(busiest, key=lambda glance: glance.name),
            alarms=sorted([*alarms_of_server(server), *_alarms_of_queues(glances)], key=_urgency),
            coming=coming,
            server=server,
            queues_to_come=frozenset(each.schedule.queue for each in coming) - known,
        )


def alarms_of_server(server: Server) -> Iterator[Alarm]:
    """Yield what is wrong with what all environments share."""
    if server.silence is None or server.silence > SILENT:
        yield Alarm("bad", "No scheduler runs: nothing that waits goes out.")
    if not server.workers:
        yield Alarm("bad", "No worker runs: nothing is delivered.")
    if server.policy != "noeviction":
        yield Alarm("bad", f"Redis may evict jobs: maxmemory-policy is {server.policy}.")
    if server.evicted:
        yield Alarm("bad", f"Redis has evicted {server.evicted} keys since its start.")
    if server.limit and server.memory >= NEARLY_FULL * server.limit:
        share = 100 * server.memory // server.limit
        yield Alarm("bad", f"Redis is nearly full: {share} % of its memory is used.")


def _alarms_of_queues(glances: Sequence[Glance]) -> Iterator[Alarm]:
    count: Counter[str] = Counter()
    for glance in glances:
        for alarm in _alarms_of(glance):
            count[alarm.text] += 1
            if count[alarm.text] <= MOST_ALARMS:
                yield alarm
    for text, number in count.items():
        if number > MOST_ALARMS:
            yield Alarm("warn", f"{text} – {number - MOST_ALARMS} more queues")


def _alarms_of(glance: Glance) -> Iterator[Alarm]:
    if glance.error.startswith("unverified"):
        yield Alarm(
            "bad", "endpoint unverified: it did not prove that it knows the secret", glance.name
        )
    if glance.opened:
        yield Alarm("bad", "breaker open: its endpoint fails", glance.name)
    elif glance.troubled:
        yield Alarm("warn", "endpoint rests or recovers", glance.name)
    if glance.paused:
        yield Alarm("warn", "paused", glance.name)


def _urgency(alarm: Alarm) -> int:
    return ("bad", "warn").index(alarm.tone)


def _sums(glances: Sequence[Glance]) -> QueueSums:
    return QueueSums(
        queues=len(glances),
        waiting=sum(glance.waiting for glance in glances),
        running=sum(glance.running for glance in glances),
        failed=sum(glance.failed for glance in glances),
    )


def _business(glance: Glance) -> tuple[int, int, int, int]:
    return (glance.running, glance.waiting, glance.ended, glance.opened)
