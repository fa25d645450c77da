"""The end of an environment: its schedules and queues are dropped, its jobs cancelled, its keys
deleted.

It takes many steps. The first one makes its tokens useless, the last one forgets its name: whoever
is interrupted between calls it again, and it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from lambdaqueue import keys
from lambdaqueue.connection import Redis
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.identity import Actor
from lambdaqueue.places import Places
from lambdaqueue.queues import QueueStore
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.store import JobStore
from lambdaqueue.upkeep import Upkeep

__all__ = ["remove_environment"]

CHUNK = 500
LOOK_EVERY = 0.2
PATIENCE = 60.0
"""Seconds for attempts to end that are out; a worker that died is found dead long before."""

Sleep = Callable[[float], None]


def remove_environment(
    client: Redis, name: str, by: str, sleep: Sleep = time.sleep
) -> Iterator[str]:
    """Remove the environment `name` with all that it holds; yields what was done, to be shown.

    Raises:
        NotFound
        Conflict: it is the first one, or attempts of its jobs are still out after a minute.
    """
    store = EnvironmentStore(client)
    environment = store.id_of(name)
    if environment is None:
        raise NotFound("there is no such environment")
    if environment == keys.DEFAULT_ENVIRONMENT:
        raise Conflict(f"the environment {name} is made again at every start: it stays")
    store.close(environment)
    yield "tokens revoked"
    # First: they would push into queues that are gone.
    if dropped := _drop_schedules(client, environment):
        yield f"{dropped} schedules removed"
    actor = Actor(environment, by)
    queues, jobs = QueueStore(client), JobStore(client)
    for queue in list(Upkeep(client).queues(environment)):
        cancelled: set[str] = set()
        # Gone already: somebody else removes it too, or the answer to our own call got lost.
        with suppress(NotFound):
            queues.pause(actor, queue)
            for job_id in _unfinished(jobs, environment, queue):
                if jobs.cancel(environment, "", job_id, "") is not None:
                    cancelled.add(job_id)
            for _ in _until_idle(queues, environment, queue, sleep):
                # Also those that a webhook has started which was still out.
                for job_id in jobs.awaiting(environment, queue):
                    if jobs.cancel_at_once(job_id) is not None:
                        cancelled.add(job_id)
            queues.drop(actor, queue)
        yield f"queue {queue} removed, {len(cancelled)} jobs cancelled"
    store.erase(environment, name)
    yield "environment removed"


def _drop_schedules(client: Redis, environment: str) -> int:
    """Drop all schedules and timers; returns how many."""
    dropped = 0
    for collection in keys.COLLECTIONS:
        store = ScheduleStore(client, collection=collection)
        while ids := store.ids(environment, CHUNK):
            for schedule_id in ids:
                with suppress(NotFound):  # as with queues
                    store.drop(environment, schedule_id)
                    dropped += 1
    return dropped


def _unfinished(jobs: JobStore, environment: str, queue: str) -> Iterator[str]:
    """Yield the ids of a queue's jobs."""
    yield from (job_id for job_id, _ in Places(jobs).positions(environment, queue, None, None))


def _until_idle(queues: QueueStore, environment: str, queue: str, sleep: Sleep) -> Iterator[None]:
    """Wait for attempts that are out; yields before each look."""
    deadline = time.monotonic() + PATIENCE
    yield
    while (info := queues.info(environment, queue)) is not None and info.running + info.waiting:
        if time.monotonic() > deadline:
            raise Conflict(
                f"{info.running} attempts of queue {queue} are still out; call this again later"
            )
        sleep(LOOK_EVERY)
        yield
