"""Service jobs: set, look, delete, run, try out, repeat (`api/services.py`).

Of searches those for the executions of one service or job; the others are for a real LambdaQueue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lambdaqueue.commands import MAX_PAYLOAD, Page
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.job import Job
from lambdaqueue.reading.service_orders import read_service_job
from lambdaqueue.rendering import service_render
from lambdaqueue.schedule import Schedule
from lambdaqueue.sdk.transport import Response
from lambdaqueue.service_job import ServiceJob
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import EXECUTIONS_QUERY, SERVICE_JOB
from lambdaqueue.testing.loading import loaded
from lambdaqueue.testing.problems import NotInMemory, answer
from lambdaqueue.testing.records import ENVIRONMENT
from lambdaqueue.testing.routing import Route
from lambdaqueue.testing.world import World

__all__ = ["ServiceCalls"]

MOST_LISTED = 100
"""Executions on one page."""


class ServiceCalls:
    """Answers about service jobs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._services = world.services

    def routes(self) -> Iterator[Route]:
        """Yield what is answered here."""
        jobs = "/services/{service}/jobs"
        yield Route("GET", jobs, self.list_jobs)
        yield Route("PUT", f"{jobs}/{{job}}", self.put)
        yield Route("GET", f"{jobs}/{{job}}", self.show)
        yield Route("DELETE", f"{jobs}/{{job}}", self.drop)
        yield Route("POST", f"{jobs}/{{job}}/run", self.run)
        yield Route("POST", f"{jobs}/{{job}}/test", self.try_out)
        yield Route("POST", "/executions/{name}/retry", self.retry)
        yield Route("GET", "/services/{service}/executions", self.executions)
        yield Route("GET", f"{jobs}/{{job}}/executions", self.executions)
        for search in ("/jobs", "/executions"):
            yield Route("GET", search, _no_search)
            yield Route("POST", search, _no_search)

    def put(self, call: Call, service: str, job: str) -> Response:
        values = loaded(SERVICE_JOB, call.object())
        wanted = read_service_job(values, MAX_PAYLOAD, service=service, job=job)
        known = self._services.known.get(wanted.id)
        self._services.keep(wanted.scheduled(ENVIRONMENT, known, self._world.now()))
        return answer(service_render.job(ENVIRONMENT, wanted))

    def show(self, call: Call, service: str, job: str) -> Response:
        return answer(service_render.job(ENVIRONMENT, ServiceJob.of(self._found(service, job))))

    def list_jobs(self, call: Call, service: str) -> Response:
        known = self._services.known
        mine = [known[name] for name in sorted(known) if name.startswith(f"{service}/")]
        return answer(service_render.jobs(ENVIRONMENT, map(ServiceJob.of, mine)))

    def drop(self, call: Call, service: str, job: str) -> Response:
        self._services.drop(self._found(service, job).id)
        self._world.attempts.left.pop(f"{service}/{job}", None)
        return Response(204)

    def executions(self, call: Call, service: str, job: str | None = None) -> Response:
        query = call.asked(EXECUTIONS_QUERY)
        since, after = query.get("since", 0), query.get("more")
        found = [
            each
            for each in sorted(self._world.jobs.everything(), key=lambda each: each.id)
            if _is_run_of(each, service, job)
            and each.created_at >= since
            and each.id > (after or "")
        ]
        more = found[MOST_LISTED - 1].id if len(found) > MOST_LISTED else None
        return answer(service_render.executions(Page(tuple(found[:MOST_LISTED]), more), since))

    def run(self, call: Call, service: str, job: str) -> Response:
        return self._world.once(call, lambda: self._start(self._enabled(service, job)))

    def try_out(self, call: Call, service: str, job: str) -> Response:
        def start() -> Response:
            known = self._found(service, job)
            return self._start(replace(known, spec=ServiceJob.of(known).test_spec))

        return self._world.once(call, start)

    def retry(self, call: Call, name: str) -> Response:
        def start() -> Response:
            old = self._world.jobs.item(name)
            run = old.spec.service
            if run is None or run.test:
                raise NotFound("there is no such execution of a service job")
            if not old.state.ended:
                raise Conflict("the execution is unfinished")
            known = self._enabled(run.service, run.job)
            return self._start(known, event=old.event_ms, retry_of=name)

        return self._world.once(call, start)

    def _start(self, known: Schedule, **more: Any) -> Response:
        return answer(service_render.name(self._services.start(known, **more)), 202)

    def _found(self, service: str, job: str) -> Schedule:
        known = self._services.known.get(f"{service}/{job}")
        if known is None:
            raise NotFound("there is no such service job")
        return known

    def _enabled(self, service: str, job: str) -> Schedule:
        known = self._found(service, job)
        if known.paused:
            raise Conflict("the service job is disabled")
        return known


def _is_run_of(of: Job, service: str, job: str | None) -> bool:
    run = of.spec.service
    return (
        run is not None
        and not run.test
        and run.service == service
        and (job is None or run.job == job)
    )


def _no_search(call: Call, **names: str) -> Response:
    raise NotInMemory(f"{call.method} {call.path}: searches are for a real LambdaQueue")
