"""Chores, kept in time by rq-scheduler and run as RQ jobs in a thread of the scheduler.

No job of a user passes through here: rq-scheduler is not atomic and dies on a Redis error, so it
runs under a loop that survives. Jobs are JSON only, and only the functions in `CHORES` run:
nothing that stands in Redis chooses what is executed.
"""

from __future__ import annotations

import os
import socket
import threading
from datetime import UTC, datetime
from typing import Any

from rq import Queue, SimpleWorker
from rq.executions import ExecutionRegistry
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq_scheduler import Scheduler as Timetable

from lambdaqueue.config import Settings
from lambdaqueue.connection import Redis, RedisError, connect
from lambdaqueue.errors import StorageUnavailable
from lambdaqueue.logs import Log
from lambdaqueue.upkeep import Upkeep
from workers import chores

__all__ = ["CHORES", "Housekeeping"]

log = Log("lambdaqueue.housekeeping")

QUEUE = "lambdaqueue-housekeeping"
LOOK_EVERY = 10.0

CHORES = {
    "workers.chores.stir_queues": 60,
    "workers.chores.trim_history": 300,
    "workers.chores.inspect_queues": 600,
}
"""What may run, and every how many seconds it does."""

JOB_IDS = {name: name.replace(".", "-") for name in CHORES}


class ChoreJob(Job):
    """An RQ job that is JSON wherever RQ or rq-scheduler would pickle."""

    def __init__(
        self, id: str | None = None, connection: Any = None, serializer: Any = None
    ) -> None:
        super().__init__(id, connection, serializer or JSONSerializer)

    def restore(self, raw_data: Any) -> Any:
        """Read the stored job, but nothing in it that RQ would import or call when it ends."""
        super().restore(raw_data)
        self._success_callback_name = None
        self._failure_callback_name = None
        self._stopped_callback_name = None
        self.webhooks = []


class ChoreQueue(Queue):
    """A queue of chores."""

    job_class = ChoreJob

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "serializer": JSONSerializer})


class ChoreWorker(SimpleWorker):
    """Runs chores in a thread: no signals, no forks, and nothing that isn't a chore."""

    death_penalty_class = TimerDeathPenalty
    queue_class = ChoreQueue
    job_class = ChoreJob

    def _install_signal_handlers(self) -> None:
        """Signals belong to the main thread."""

    def subscribe(self) -> None:
        """Commands are for workers that stay; this one comes and goes."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a chore; anything else is refused and thrown away."""
        if job.func_name not in CHORES:
            log.error("chore_refused", id=job.id)
            job.delete()
            return
        super().execute_job(job, queue)


class ChoreTimetable(Timetable):  # type: ignore[misc]  # rq-scheduler has no types
    """rq-scheduler's timetable, in which stands when what is done, but not by which class.

    Its keys are our own: an operator may run an rq-scheduler of his beside us.
    """

    scheduler_key = "rq:scheduler:lambdaqueue"
    scheduler_lock_key = "rq:scheduler_lock:lambdaqueue"
    scheduled_jobs_key = "rq:scheduler:lambdaqueue:scheduled_jobs"

    def get_queue_for_job(self, job: Job) -> ChoreQueue:
        """Return the queue of chores, whatever the stored job says."""
        return ChoreQueue(QUEUE, connection=self.connection)


class Housekeeping:
    """The thread that keeps the timetable and does what is due."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the chore at hand."""
        self._stopping.set()
        self._thread.join(timeout=self._settings.grace)

    def _run(self) -> None:
        connection, anew = connect(self._settings, answer_within=30.0), True
        while not self._stopping.is_set():
            try:
                throw_out(connection)
                register(connection, anew)
                limit_history(Upkeep(connection), self._settings.history_max)
                run_due(connection)
                anew = False
            except (RedisError, StorageUnavailable) as error:
                log.warning("storage_unavailable", reason=type(error).__name__, then="trying again")
            except Exception as error:
                # What stands in Redis under a chore's name is not ours: it is written over.
                log.error("housekeeping_broke", cause=error)
                anew = True
            self._stopping.wait(LOOK_EVERY)


def limit_history(upkeep: Upkeep, most: int) -> None:
    """Tell every environment how many entries its history may have."""
    for environment in upkeep.environments():
        upkeep.limit_history(environment, most)


def throw_out(connection: Redis) -> None:
    """Remove what isn't a chore from the timetable and the queue, before anything reads it."""
    queue = ChoreQueue(QUEUE, connection=connection)
    entries: Any = connection.zrange(ChoreTimetable.scheduled_jobs_key, 0, -1)
    entries += connection.lrange(queue.key, 0, -1)
    for job_id in {entry.decode() for entry in entries} - set(JOB_IDS.values()):
        log.error("chore_refused", id=job_id)
        connection.zrem(ChoreTimetable.scheduled_jobs_key, job_id)
        connection.lrem(queue.key, 0, job_id)
        connection.delete(Job.key_for(job_id))


def register(connection: Redis, anew: bool = True) -> None:
    """Write the timetable: the code that starts decides what is done and how often.

    Later only what is missing is written, because a scheduler was killed while it moved it.
    """
    timetable = _timetable(connection)
    for name, seconds in CHORES.items():
        job_id = JOB_IDS[name]
        if not anew and job_id in timetable:
            continue
        # With the notes of a run that a SIGKILL ended: RQ would keep those for ever.
        connection.delete(Job.key_for(job_id), ExecutionRegistry.key_template.format(job_id))
        timetable.schedule(
            datetime.now(UTC),
            name,
            interval=seconds,
            id=job_id,
            queue_name=QUEUE,
            description="LambdaQueue housekeeping",
            timeout=chores.LONGEST,
        )


def run_due(connection: Redis) -> None:
    """Put what is due into RQ's queue, then work until that is empty."""
    timetable = _timetable(connection)
    if timetable.acquire_lock():
        try:
            timetable.enqueue_jobs()
        finally:
            timetable.remove_lock()
    queue = ChoreQueue(QUEUE, connection=connection)
    if queue.count:
        name = f"housekeeping.{socket.gethostname()}.{os.getpid()}"
        worker = ChoreWorker([queue], name=name, connection=connection, serializer=JSONSerializer)
        worker.work(burst=True, logging_level="WARNING")


def _timetable(connection: Redis) -> ChoreTimetable:
    return ChoreTimetable(
        QUEUE,
        connection=connection,
        interval=int(LOOK_EVERY),
        job_class=ChoreJob,
        queue_class=ChoreQueue,
    )
