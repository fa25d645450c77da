"""Housekeeping, one function for each chore. Each may be killed at any moment and run again."""

from __future__ import annotations

import heapq
import os
import time
from itertools import islice

from lambdaqueue import keys
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.logs import Log
from lambdaqueue.queues import QueueStore
from lambdaqueue.upkeep import Upkeep

__all__ = ["LONGEST", "inspect_queues", "stir_queues", "trim_history"]

log = Log("lambdaqueue.housekeeping")

LONGEST = 600
"""Seconds that a chore may take."""

DAY = 86_400_000
KINDS = "cf"
"""A queue's two streams of history: successes, and the rest."""


def stir_queues() -> None:
    """Admit every queue once: the net under the rule that whoever frees room admits."""
    upkeep, _ = _stores()
    refs = (
        keys.queue_ref(environment, queue)
        for environment in upkeep.environments()
        for queue in upkeep.queues(environment)
    )
    while chunk := list(islice(refs, 50)):
        upkeep.stir(chunk)


def trim_history() -> None:
    """Forget what is older than its queue keeps it, or more than its environment may have."""
    upkeep, queues = _stores()
    for environment in upkeep.environments():
        for name in upkeep.queues(environment):
            info = queues.info(environment, name)
            if info is not None:
                _trim_queue(upkeep, keys.queue_ref(environment, name), info.settings.history_days)
        _trim_environment(upkeep, environment)


def _trim_queue(upkeep: Upkeep, ref: str, days: int) -> None:
    before = int(time.time() * 1000) - days * DAY
    for kind in KINDS:
        while upkeep.trim(ref, kind, before):
            continue


def _trim_environment(upkeep: Upkeep, environment: str) -> None:
    """Take the oldest entries of all queues, some of one stream at a time."""
    if upkeep.excess(environment) <= 0:
        return
    heads = [
        (oldest, name, kind)
        for name in upkeep.queues(environment)
        for kind in KINDS
        if (oldest := upkeep.oldest(environment, name, kind)) is not None
    ]
    heapq.heapify(heads)
    while heads and upkeep.excess(environment) > 0:
        head, name, kind = heapq.heappop(heads)
        # As far as the next oldest of the other streams, but at least the head itself.
        before = max(heads[0][0], head + 1) if heads else int(time.time() * 1000)
        upkeep.trim(keys.queue_ref(environment, name), kind, before)
        oldest = upkeep.oldest(environment, name, kind)
        if oldest is not None:
            heapq.heappush(heads, (oldest, name, kind))


def inspect_queues() -> None:
    """Log every queue whose hashes and indexes disagree."""
    upkeep, _ = _stores()
    for environment in upkeep.environments():
        for name in upkeep.queues(environment):
            ref = keys.queue_ref(environment, name)
            for finding in upkeep.inspect(ref):
                log.error("inspection_finding", queue=ref, finding=finding)


def _stores() -> tuple[Upkeep, QueueStore]:
    client = connect(Settings.from_env(os.environ), answer_within=30.0)
    return Upkeep(client), QueueStore(client)
