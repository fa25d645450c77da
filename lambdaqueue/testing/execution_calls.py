"""Executions and their callbacks (`api/callbacks.py`, `api/executions.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from lambdaqueue import ids, strict_json
from lambdaqueue.commands import Execution
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.execution import Final
from lambdaqueue.job import Job
from lambdaqueue.reading.service_orders import MAX_CALLBACK, may_say, read_callback
from lambdaqueue.rendering import service_render
from lambdaqueue.sdk.transport import Response
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import CALLBACK
from lambdaqueue.testing.loading import loaded
from lambdaqueue.testing.problems import Refused, answer
from lambdaqueue.testing.records import ENVIRONMENT
from lambdaqueue.testing.routing import Route
from lambdaqueue.testing.world import World

__all__ = ["ExecutionCalls"]


class ExecutionCalls:
    """Answers about executions, and to the services that run them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> Iterator[Route]:
        """Yield what is answered here."""
        yield Route("POST", "/callback/{token}", self.hear)
        yield Route("GET", "/executions/{name}", self.show)
        yield Route("POST", "/executions/{name}/cancel", self.cancel)

    def hear(self, call: Call, token: str) -> Response:
        said = _said(call)
        status = said.pop("status")
        if status == "processing":
            extend = said.get("extend")
            longer = None if extend is None else extend * 1_000
            self._world.attempts.heartbeat(token, said.get("progress"), longer)
            return Response(204)
        self._world.attempts.finish(token, Final(status, **said))
        return answer(strict_json.dumps({"status": status}))

    def show(self, call: Call, name: str) -> Response:
        return answer(
            service_render.execution(Execution(self._found(name), self._retried_by(name)))
        )

    def cancel(self, call: Call, name: str) -> Response:
        if self._found(name).state.ended:
            raise Conflict("the execution has ended")
        cancelled = self._world.jobs.cancel(name, at_once=True)
        ended = self._world.jobs.newest(name) or cancelled
        return answer(service_render.execution(Execution(ended)))

    def _found(self, name: str) -> Job:
        jobs = self._world.jobs
        if ids.is_job_id(name) and ids.environment_of(name) == ENVIRONMENT:
            record = jobs.records.get(name)
            job = jobs.newest(name) if record is None else jobs.running(record)
            if job is not None and job.spec.terms is not None:
                return job
        raise NotFound("there is no such execution")

    def _retried_by(self, name: str) -> str | None:
        repeats = [each.id for each in self._world.jobs.everything() if each.retry_of == name]
        return max(repeats, default=None)


def _said(call: Call) -> dict[str, Any]:
    """Return what the body of a callback says."""
    if not may_say(call.headers.get("content-type", "")):
        raise Refused(406, "Unsupported Content-Type.")
    call.content_type()
    return read_callback(partial(loaded, CALLBACK), call.payload(MAX_CALLBACK))
