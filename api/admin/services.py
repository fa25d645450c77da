"""Service jobs and their executions, with the progress of those that run."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from api.admin import forms, session, texts
from api.admin.guard import page
from api.admin.timeline import timeline
from api.current import executions, parts, service_jobs
from lambdaqueue.account import Role
from lambdaqueue.errors import InvalidRequest, NotFound
from lambdaqueue.finding import Where
from lambdaqueue.job import Job, State
from lambdaqueue.rendering.service_paths import check_names
from lambdaqueue.service_job import ServiceJob, queue_of

__all__ = ["blueprint"]

blueprint = Blueprint("services", __name__)

ROWS_OF_JOBS = 100
CURSOR = re.compile(r"[a-z0-9-]{1,100}/[a-z0-9-]{1,100}")
LOOKED_AT = 200
"""Executions of a service among which those of one job are looked for."""

ROWS = 30

MOST_SERVICES = 50
"""Services whose running executions are shown beside the list of jobs."""


@blueprint.get("/services")
@page(Role.VIEWER)
def index() -> str:
    cursor = request.args.get("cursor")
    if cursor is not None and not CURSOR.fullmatch(cursor):
        raise InvalidRequest.of("cursor", "invalid_cursor", "must come from an earlier page")
    found = service_jobs().page(session.environment(), ROWS_OF_JOBS, cursor)
    return render_template(
        "admin/services.html", found=found, is_first=cursor is None, running=_running(found.rows)
    )


@blueprint.get("/services/<service>/<job>")
@page(Role.VIEWER)
def show(service: str, job: str) -> str:
    found = _job(service, job)
    where = Where(queue=queue_of(service))
    finding, environment = parts().finding, session.environment()
    running = finding.items(environment, where, LOOKED_AT)
    ended = finding.ended(environment, where, LOOKED_AT)
    return render_template(
        "admin/service.html",
        job=found,
        queue=where.queue,
        running=[each for each in running.rows if _is_of(each, found)][:ROWS],
        ended=[each for each in ended.rows if _is_of(each, found)][:ROWS],
        looked_at=LOOKED_AT if running.cursor or ended.cursor else None,
        payload=texts.shown((found.payload or "").encode(), "application/json"),
    )


@blueprint.post("/services/<service>/<job>/run")
@page(Role.ADMIN)
def run(service: str, job: str) -> Response:
    _job(service, job)
    name = executions().run(session.environment(), service, job, by=session.actor())
    return forms.done("An execution has begun.", _of(name))


@blueprint.post("/services/<service>/<job>/test")
@page(Role.ADMIN)
def test(service: str, job: str) -> Response:
    _job(service, job)
    name = executions().try_out(session.environment(), service, job, by=session.actor())
    return forms.done("A marked webhook is on its way.", _of(name))


@blueprint.get("/executions/<name>")
@page(Role.VIEWER)
def execution(name: str) -> str:
    found = executions().execution(session.environment(), name)
    return render_template(
        "admin/execution.html",
        found=found,
        events=timeline(found.job),
        has_job=_has_job(found.job),
        left=_left(found.job),
    )


@blueprint.post("/executions/<name>/cancel")
@page(Role.ADMIN)
def cancel(name: str) -> Response:
    executions().cancel(session.environment(), name, by=session.actor())
    return forms.done("The execution is cancelled.", _of(name))


@blueprint.post("/executions/<name>/retry")
@page(Role.ADMIN)
def retry(name: str) -> Response:
    made = executions().retry(session.environment(), name, by=session.actor())
    return forms.done("It's repeated by this execution.", _of(made))


def _job(service: str, job: str) -> ServiceJob:
    check_names(service, job)
    return service_jobs().job(session.environment(), service, job)


def _running(jobs: Sequence[ServiceJob]) -> list[Job]:
    """Return executions that run in the first services of those that have some."""
    finding = parts().finding
    found: list[Job] = []
    for service in islice(dict.fromkeys(job.service for job in jobs), MOST_SERVICES):
        where = Where(queue=queue_of(service), state=State.RUNNING)
        found += finding.items(session.environment(), where, ROWS - len(found)).rows
        if len(found) == ROWS:
            break
    return found


def _has_job(execution: Job) -> bool:
    """Tell whether the service job of an execution is still defined."""
    run = execution.spec.service
    if run is None:
        return False
    try:
        service_jobs().job(session.environment(), run.service, run.job)
    except NotFound:
        return False
    return True


def _left(execution: Job) -> dict[str, texts.Shown]:
    """Return state and error that a service left, by name, as the JSON that it sent."""
    final = execution.final
    given = {"state": final.state, "error": final.error} if final else {}
    if isinstance(given.get("error"), str):
        del given["error"]  # One line, which stands with the facts.
    return {
        name: texts.shown(json.dumps(value, ensure_ascii=False).encode(), "application/json")
        for name, value in given.items()
        if value is not None
    }


def _is_of(execution: Job, job: ServiceJob) -> bool:
    run = execution.spec.service
    return run is not None and (run.service, run.job) == (job.service, job.job)


def _of(name: str) -> str:
    return url_for("admin.services.execution", name=name)
