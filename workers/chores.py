"""Housekeeping, one function for each chore. Each may be killed at any moment and run again."""

from __future__ import annotations

import logging
import os
import time
from itertools import islice

from lambdaqueue import keys
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.queues import QueueStore
from lambdaqueue.upkeep import Upkeep

__all__ = ["LONGEST", "audit_queues", "stir_queues", "trim_history"]

log = logging.getLogger("lambdaqueue.housekeeping")

LONGEST = 600
"""Seconds that a chore may take."""

DAY = 86_400_000


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
    """Forget what is older than its queue keeps it."""
    upkeep, queues = _stores()
    for environment in upkeep.environments():
        for name in upkeep.queues(environment):
            info = queues.info(environment, name)
            if info is None:
                continue
            before = int(time.time() * 1000) - info.settings.history_days * DAY
            ref = keys.queue_ref(environment, name)
            for kind in "cf":
                while upkeep.trim(ref, kind, before):
                    continue


def audit_queues() -> None:
    """Log every queue whose hashes and indexes disagree."""
    upkeep, _ = _stores()
    for environment in upkeep.environments():
        for name in upkeep.queues(environment):
            ref = keys.queue_ref(environment, name)
            for finding in upkeep.audit(ref):
                log.error("audit_finding queue=%s: %s", ref, finding)


def _stores() -> tuple[Upkeep, QueueStore]:
    client = connect(Settings.from_env(os.environ), answer_within=30.0)
    return Upkeep(client), QueueStore(client)
