"""Executions: search, look, cancel, retry."""

from __future__ import annotations

from flask import Blueprint, Response

from api.access import needs
from api.answers import answer
from api.current import environment, executions
from api.idempotency import Reply, once, read_idempotency
from api.service_searches import read_execution_search
from lambdaqueue.executing import Execution
from lambdaqueue.identity import Scope
from lambdaqueue.rendering import service_render
from lambdaqueue.rendering.service_paths import check_names

__all__ = ["blueprint"]

blueprint = Blueprint("executions", __name__, url_prefix="/api/v1")

OF_SERVICE = "/services/<service>/executions"
OF_JOB = "/services/<service>/jobs/<job>/executions"


@blueprint.get("/executions", endpoint="search")
@blueprint.post("/executions", endpoint="search")
@blueprint.get(OF_SERVICE, endpoint="search")
@blueprint.post(OF_SERVICE, endpoint="search")
@blueprint.get(OF_JOB, endpoint="search")
@blueprint.post(OF_JOB, endpoint="search")
@needs(Scope.READ)
def search(service: str | None = None, job: str | None = None) -> Response:
    check_names(*(name for name in (service, job) if name is not None))
    where = read_execution_search(service, job)
    found = executions().search(environment(), where)
    return answer(service_render.executions(found, where.since))


@blueprint.get("/executions/<name>")
@needs(Scope.READ)
def show(name: str) -> Response:
    return answer(service_render.execution(executions().execution(environment(), name)))


@blueprint.post("/executions/<name>/cancel")
@needs(Scope.PUSH)
def cancel(name: str) -> Response:
    cancelled = executions().cancel(environment(), name)
    # It has ended just now, so nobody can have retried it.
    return answer(service_render.execution(Execution(cancelled, retried_by=None)))


@blueprint.post("/executions/<name>/retry")
@needs(Scope.PUSH)
def retry(name: str) -> Response:
    def start(own_id: str | None) -> Reply:
        return service_render.name(executions().retry(environment(), name, own_id)), 202

    return once(read_idempotency(), start)
