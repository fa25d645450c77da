"""What a stock `rq worker` runs: the same claim, send, judge, settle, for one job.

rq worker -S rq.serializers.JSONSerializer lambdaqueue
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Sequence

from lambdaqueue.attempts import BEAT_EVERY, AttemptStore
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect_async
from lambdaqueue.errors import ConfigurationError, LambdaQueueError
from lambdaqueue.signing import Secret
from workers.attempt import attempt, conclude
from workers.process import new_event_loop
from workers.sender import CurlSender

__all__ = ["deliver"]

log = logging.getLogger("lambdaqueue.worker")


def deliver(job_id: str, admission: int) -> None:
    """Deliver the job `job_id` if its entry `admission` still counts.

    Raises:
        ConfigurationError: the worker's environment lacks a setting.
        StorageUnavailable: the outcome could not be stored; its lease will run out.
    """
    settings = Settings.from_env(os.environ)
    if not settings.bootstrap_secret:
        raise ConfigurationError("LQ_BOOTSTRAP_SECRET is required: deliveries are signed with it")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_deliver(settings, f"{job_id}_{admission}"))


async def _deliver(settings: Settings, entry: str) -> None:
    client = connect_async(settings, answer_within=5.0)
    # RQ keeps its own books of a stock worker's jobs, so ours has no name in them.
    store = AttemptStore(client, rq_worker="", slots=1)
    await store.join()
    held: list[str] = []
    beating = asyncio.create_task(_live(store, held))
    try:
        await _make_attempt(settings, store, entry, held)
        await store.leave()
    finally:
        beating.cancel()
        await client.aclose()


async def _make_attempt(
    settings: Settings, store: AttemptStore, entry: str, held: list[str]
) -> None:
    claimed = await store.claim(1, [entry])
    held += [claim.id for claim in claimed.claims]
    sender = CurlSender(slots=1)
    try:
        for claim in claimed.claims:
            secrets = [Secret.parse(settings.bootstrap_secret)]
            answer = await attempt(claim, sender, secrets, time.time())
            (accepted,) = await store.settle([conclude(claim, answer, random.random())])
            if not accepted:
                log.warning("outcome_refused id=%s: the job is no longer ours", claim.id)
    finally:
        await sender.close()


async def _live(store: AttemptStore, held: Sequence[str]) -> None:
    """Beat, and renew the leases of the jobs `held`, which may run for longer than one lasts."""
    while True:
        await asyncio.sleep(BEAT_EVERY)
        with contextlib.suppress(LambdaQueueError):  # the next beat, or the settle, will tell
            await store.beat(held)
