"""RQ's jobs, queues and workers for those who only look: nothing is unpickled, nothing is written.

RQ's own classes unpickle what they read, take away what looks dead, and lengthen the timeouts of
the client that they are given; a page that shows something must do none of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rq import Queue, Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from lambdaqueue.connection import Redis

__all__ = ["SHOWN", "ShownJob", "ShownQueue", "ShownWorker"]

SHOWN = frozenset(
    {
        b"created_at",
        b"description",
        b"ended_at",
        b"enqueued_at",
        b"origin",
        b"started_at",
        b"status",
        b"worker_name",
    }
)
"""The fields of a job that are read. Whom it calls, with what, and its results are not."""


class ShownJob(Job):
    """A job of which only that is read which is text or a time."""

    def __init__(
        self, id: str | None = None, connection: Any = None, serializer: Any = None
    ) -> None:
        try:
            super().__init__(id, connection, JSONSerializer)
        except ValueError as error:
            raise NoSuchJobError(f"{id!r} is no id of RQ's") from error

    def restore(self, raw_data: Mapping[bytes, bytes]) -> Any:
        """Read what is shown; raises NoSuchJobError where that can't be a job's."""
        fields = {name: value for name, value in raw_data.items() if name in SHOWN}
        if b"data" in raw_data:  # that it's there makes a hash a job
            fields[b"data"] = b"null"
        try:
            super().restore(fields)
        except ValueError as error:
            raise NoSuchJobError(f"{self.id} is not RQ's") from error

    def get_call_string(self) -> str | None:
        """Return the description: the call itself isn't read."""
        return self.description

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        """Return nothing: we write none, and others' isn't ours to show."""
        return {}

    def latest_result(self, timeout: int = 0) -> None:
        """Return nothing: deliveries have their results in the history."""


class ShownQueue(Queue):
    """A queue whose lost entries stay where they are."""

    job_class = ShownJob

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "serializer": JSONSerializer})

    def fetch_job(self, job_id: str) -> Job | None:
        """Return a job of this queue, None for one that's gone or another's."""
        try:
            job = ShownJob.fetch(job_id, connection=self.connection)
        except NoSuchJobError:
            return None
        return job if job.origin == self.name else None


class ShownWorker(Worker):
    """A worker that is looked at from outside."""

    job_class = ShownJob
    queue_class = ShownQueue

    @classmethod
    def find_by_key(cls, worker_key: str, connection: Redis, *_: Any, **__: Any) -> Any:
        """Return the worker, None for one that's gone; RQ would strike it off its list."""
        if not connection.exists(worker_key):
            return None
        name = worker_key.removeprefix(cls.redis_worker_namespace_prefix)
        options: Any = {"prepare_for_work": False, "serializer": JSONSerializer}
        found = cls([], name, connection=connection, **options)
        found.refresh()  # type: ignore[no-untyped-call]
        return found

    def _set_connection(self, connection: Redis) -> Redis:
        """Leave the client as it is: the whole process shares its timeouts."""
        return connection

    def get_current_job(self) -> Job | None:
        """Return what it runs, None where that's over by now."""
        try:
            return super().get_current_job()
        except NoSuchJobError:
            return None
