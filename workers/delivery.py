"""DeliveryWorker: to RQ and its tools a worker like any other, inside one event loop."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import time
from typing import Any

from rq import Queue
from rq.command import parse_payload
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker, WorkerStatus

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.attempts import AttemptStore
from lambdaqueue.config import Settings
from lambdaqueue.connection import Redis, RedisError, connect, connect_async
from lambdaqueue.errors import StorageUnavailable
from lambdaqueue.logs import Log, configure_logging
from workers.caller import Caller
from workers.courier import ANSWER_WITHIN, Courier
from workers.invoking import TokenInvoker
from workers.outbound import open_outbound
from workers.process import new_event_loop

__all__ = ["DeliveryWorker", "main"]

log = Log("lambdaqueue.worker")

SHOW_EVERY = 5.0
"""Seconds between two updates of what RQ's tools show of this worker."""

RQ_ANSWER_WITHIN = 2.0
"""Seconds for what RQ's tools are shown: nobody waits for it, least of all a worker that stops."""


class DeliveryWorker(BaseWorker):
    """Delivers many jobs at once. `rq info`, suspend, resume, stop-job and shutdown work on it.

    RQ's own books follow the store's: the scripts keep the started registry, and RQ's recovery
    is not used, because our leases are the truth.
    """

    def __init__(self, settings: Settings, connection: Redis) -> None:
        name = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(3)}"
        line = Queue(keys.LINE_NAME, connection=connection, serializer=JSONSerializer)
        super().__init__([line], name=name, connection=connection, serializer=JSONSerializer)
        self._settings = settings
        self._courier: Courier | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shown = (0, 0)
        self.complete = True

    def work(self, burst: bool = False, *_: Any, **__: Any) -> bool:
        """Deliver until a signal comes; with `burst`, until the line is empty.

        Returns whether anything was delivered. `complete` then tells whether every call was
        finished within the grace time.
        """
        self.register_birth()  # type: ignore[no-untyped-call]
        self.subscribe()  # type: ignore[no-untyped-call]
        log.info("worker_started", worker=self.name, slots=self._settings.slots)
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                self.complete = runner.run(self._deliver(burst))
        finally:
            self._sign_off()
        log.info("worker_stopped", worker=self.name, complete=self.complete)
        return sum(self._shown) > 0

    async def _deliver(self, burst: bool) -> bool:
        slots = self._settings.slots
        client = connect_async(self._settings, answer_within=ANSWER_WITHIN)
        self._loop = asyncio.get_running_loop()
        sender, validator = open_outbound(self._settings, client, slots)
        store = AttemptStore(client, rq_worker=self.name, slots=slots)
        invoker = TokenInvoker(store, self._settings.public_url)
        self._courier = Courier(
            store,
            Caller(sender, validator, invoker),
            slots=slots,
            grace=self._settings.grace,
            burst=burst,
            host_slots=self._settings.host_slots,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._courier.stop)
        showing = asyncio.create_task(self._show())
        try:
            return await self._courier.run()
        finally:
            showing.cancel()
            await asyncio.to_thread(self._update)
            await client.aclose()

    # What RQ's tools see

    @property
    def connection_timeout(self) -> int:
        """Seconds; RQ would wait minutes, for blocking commands that this worker never sends."""
        return int(RQ_ANSWER_WITHIN)

    def _sign_off(self) -> None:
        try:
            self.teardown()  # type: ignore[no-untyped-call]
        except RedisError as error:
            log.warning("worker_not_signed_off", reason=type(error).__name__)

    async def _show(self) -> None:
        while True:
            await asyncio.to_thread(self._update)
            await asyncio.sleep(SHOW_EVERY)

    def _update(self) -> None:
        """Write heartbeat, state and counters; a worker that RQ forgot is registered again."""
        courier = self._courier
        assert courier is not None
        shown = (courier.delivered, courier.failed)
        idle = WorkerStatus.SUSPENDED if courier.suspended else WorkerStatus.IDLE
        state = WorkerStatus.BUSY if courier.busy else idle
        try:
            with self.connection.pipeline() as pipeline:
                self.heartbeat(pipeline=pipeline)
                pipeline.hset(self.key, mapping=self.serialize())
                pipeline.sadd(self.redis_workers_keys, self.key)
                pipeline.sadd(f"rq:workers:{keys.LINE_NAME}", self.key)
                self.set_state(state, pipeline=pipeline)
                pipeline.hincrby(self.key, "successful_job_count", shown[0] - self._shown[0])
                pipeline.hincrby(self.key, "failed_job_count", shown[1] - self._shown[1])
                pipeline.execute()
        except RedisError as error:
            log.warning("worker_not_shown", reason=type(error).__name__)
        else:
            self._shown = shown

    def handle_payload(self, message: dict[str, Any]) -> None:
        """Obey `rq` commands: shutdown as a signal, stop-job as the end of that one call."""
        payload = parse_payload(message)
        if payload["command"] == "stop-job" and self._loop and self._courier:
            job_id = str(payload["job_id"]).rpartition("_")[0]
            self._loop.call_soon_threadsafe(self._courier.stop_attempt, job_id)
        elif payload["command"] == "shutdown":
            os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run a worker as the Procfile does; the exit status is 1 when calls had to be cut off.

    Raises:
        ConfigurationError: a setting is missing or wrong; the master key is another database's.
    """
    settings = Settings.from_env(os.environ)
    configure_logging(settings)
    connection = connect(settings, answer_within=RQ_ANSWER_WITHIN)
    _prepare(Administration(connection, settings))
    worker = DeliveryWorker(settings, connection)
    worker.work()
    return 0 if worker.complete else 1


def _prepare(administration: Administration) -> None:
    while True:
        try:
            administration.prepare()
            return
        except StorageUnavailable as error:
            log.warning("storage_unavailable", reason=error, then="trying again")
            time.sleep(1)
