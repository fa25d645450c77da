"""Executions and their callbacks (`api/callbacks.py`, `api/executions.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lambdaqueue import ids, strict_json
from lambdaqueue.commands import Execution
from lambdaqueue.errors import Conflict, InvalidRequest, Issue, NotFound, UnreadableRequest
from lambdaqueue.execution import Final
from lambdaqueue.job import Job
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

MAX_BODY = 262_144

FIELDS: Mapping[str, frozenset[str]] = {
    "processing": frozenset({"progress", "extend_seconds"}),
    "success": frozenset({"summary", "state", "correlation_id"}),
    "fail": frozenset({"summary", "error", "correlation_id"}),
}
"""What may be said beside each status."""


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
    """Return what the body of a callback says; a field that is null is left out."""
    given = call.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise Refused(406, "Unsupported Content-Type.")
    call.content_type()
    try:
        body = strict_json.parse_object(call.payload(MAX_BODY))
    except UnreadableRequest as error:
        raise InvalidRequest([Issue((), error.code, str(error))]) from error
    values = loaded(CALLBACK, body)
    status = values["status"]
    allowed = FIELDS[status] | {"status"}
    foreign = [name for name in body if body[name] is not None and name not in allowed]
    if foreign:
        rule = f"means nothing with the status {status}"
        raise InvalidRequest([Issue((name,), "other_status", rule) for name in foreign])
    return {name: value for name, value in values.items() if value is not None}
