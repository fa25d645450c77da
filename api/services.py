"""Service jobs: set, look, delete, run, try out, and search."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from api.access import needs
from api.answers import answer
from api.bodies import read_object
from api.current import environment, executions, service_jobs
from api.idempotency import Reply, once, read_idempotency
from api.schemas import loaded
from api.service_schemas import ServiceJobSchema
from api.service_searches import read_job_search
from lambdaqueue.identity import Scope
from lambdaqueue.reading.service_orders import read_service_job
from lambdaqueue.rendering import service_render
from lambdaqueue.rendering.service_paths import check_names
from lambdaqueue.service_job import ServiceJob

__all__ = ["blueprint"]

blueprint = Blueprint("services", __name__, url_prefix="/api/v1")

SERVICE_JOB = ServiceJobSchema()

JOBS = "/services/<service>/jobs"
JOB = f"{JOBS}/<job>"


@blueprint.put(JOB)
@needs(Scope.PUSH)
def put(service: str, job: str) -> Response:
    check_names(service, job)
    made = service_jobs().put(environment(), _wanted(service, job))
    return answer(service_render.job(environment(), made))


@blueprint.get(JOB)
@needs(Scope.READ)
def show(service: str, job: str) -> Response:
    check_names(service, job)
    found = service_jobs().job(environment(), service, job)
    return answer(service_render.job(environment(), found))


@blueprint.delete(JOB)
@needs(Scope.PUSH)
def drop(service: str, job: str) -> Response:
    check_names(service, job)
    service_jobs().drop(environment(), service, job)
    return Response(status=204)


@blueprint.get(JOBS)
@needs(Scope.READ)
def list_jobs(service: str) -> Response:
    check_names(service)
    found = service_jobs().jobs_of(environment(), service)
    return answer(service_render.jobs(environment(), found))


@blueprint.get("/jobs", endpoint="search")
@blueprint.post("/jobs", endpoint="search")
@needs(Scope.READ)
def search() -> Response:
    found = service_jobs().search(environment(), read_job_search())
    return answer(service_render.found_jobs(environment(), found))


@blueprint.post(f"{JOB}/run")
@needs(Scope.PUSH)
def run(service: str, job: str) -> Response:
    check_names(service, job)

    def start(own_id: str | None) -> Reply:
        return service_render.name(executions().run(environment(), service, job, own_id)), 202

    return once(read_idempotency(), start)


@blueprint.post(f"{JOB}/test")
@needs(Scope.PUSH)
def try_out(service: str, job: str) -> Response:
    check_names(service, job)

    def start(own_id: str | None) -> Reply:
        return service_render.name(executions().try_out(environment(), service, job, own_id)), 202

    return once(read_idempotency(), start)


def _wanted(service: str, job: str) -> ServiceJob:
    """Return the definition in the body; raises as `loaded`."""
    values = loaded(SERVICE_JOB, read_object(current_app.config["MAX_BATCH"]).value)
    limit = current_app.config["MAX_PAYLOAD"]
    return read_service_job(values, limit, service=service, job=job)
