"""What a stock `rq worker` runs: the same claim, send, judge, settle, for one job.

rq worker -S rq.serializers.JSONSerializer lambdaqueue
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Sequence

from lambdaqueue.administration import Administration
from lambdaqueue.attempts import BEAT_EVERY, AttemptStore, Kind, Settlement
from lambdaqueue.claims import Claim
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect, connect_async
from lambdaqueue.errors import LambdaQueueError, SecretUnreadable
from lambdaqueue.logs import Log
from lambdaqueue.outcome import ErrorClass
from workers.attempt import conclude, put_off, returned
from workers.caller import Caller
from workers.invoking import NotToBeSent, TokenInvoker
from workers.outbound import open_outbound
from workers.process import new_event_loop

__all__ = ["deliver"]

log = Log("lambdaqueue.worker")


def deliver(job_id: str, admission: int) -> None:
    """Deliver the job `job_id` if its entry `admission` still counts.

    Raises:
        ConfigurationError: the worker's environment lacks a setting, or has a wrong master key.
        StorageUnavailable: the outcome could not be stored; its lease will run out.
    """
    settings = Settings.from_env(os.environ)
    Administration(connect(settings), settings).prepare()  # complains before the job is claimed
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_deliver(settings, f"{job_id}_{admission}"))


async def _deliver(settings: Settings, entry: str) -> None:
    client = connect_async(settings, answer_within=5.0)
    sender, validator = open_outbound(settings, client, slots=1)
    # RQ keeps its own books of a stock worker's jobs, so ours has no name in them.
    store = AttemptStore(client, rq_worker="", slots=1)
    caller = Caller(sender, validator, TokenInvoker(store, settings.public_url))
    held: list[str] = []
    beating = None
    try:
        await store.join()
        beating = asyncio.create_task(_live(store, held))
        claimed = await store.claim(1, [entry])
        held += [claim.id for claim in claimed.claims]
        for claim, reason in claimed.unreadable:
            log.error("job_unreadable", id=claim.id, reason=reason)
            await store.settle([put_off(claim, "")])
        for claim in claimed.claims:
            (accepted,) = await store.settle([await _outcome(claim, caller)])
            if not accepted and claim.spec.terms is None:
                log.warning("outcome_refused", id=claim.id, reason="the job is no longer ours")
        await store.leave()
    finally:
        if beating is not None:
            beating.cancel()
        await caller.close()
        await client.aclose()


async def _outcome(claim: Claim, caller: Caller) -> Settlement:
    try:
        return conclude(claim, await caller.call(claim), random.random())
    except NotToBeSent:
        return returned(claim, Kind.UNSENT)
    except SecretUnreadable as error:
        log.error("secret_unreadable", environment=claim.environment, reason=error)
        return put_off(claim, f"{ErrorClass.UNVERIFIED}: {error}")


async def _live(store: AttemptStore, held: Sequence[str]) -> None:
    """Beat, and renew the leases of the jobs `held`, which may run for longer than one lasts."""
    while True:
        await asyncio.sleep(BEAT_EVERY)
        with contextlib.suppress(LambdaQueueError):  # the next beat, or the settle, will tell
            await store.beat(held)
