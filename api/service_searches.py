"""Reads searches for service jobs and executions: a query, and a body that wins field by field."""

from __future__ import annotations

from typing import Any

from flask import current_app, request
from marshmallow import Schema

from api.bodies import read_optional_object
from api.schemas import loaded
from api.service_schemas import ExecutionQuery, ExecutionSearch, JobSearch
from lambdaqueue.errors import InvalidRequest, UnreadableRequest
from lambdaqueue.executing import ExecutionFilter
from lambdaqueue.service_job import check_name
from lambdaqueue.services import JobFilter

__all__ = ["read_execution_search", "read_job_search"]

JOB_SEARCH = JobSearch()
EXECUTION_SEARCH = ExecutionSearch()
EXECUTION_QUERY = ExecutionQuery()

LISTS = frozenset({"service_name", "job_name", "job_guid"})
"""Fields that a query may name more than once."""


def read_job_search() -> JobFilter:
    """Return which service jobs the request is about.

    Raises:
        UnreadableRequest: its names don't fit together, or can be nobody's.
        InvalidRequest
    """
    asked = _asked(JOB_SEARCH, JOB_SEARCH)
    scopes = _scopes(asked.get("service_name"), asked.get("job_name"))
    guids = asked.get("job_guid")
    return JobFilter(scopes, None if guids is None else tuple(guids))


def read_execution_search(service: str | None = None, job: str | None = None) -> ExecutionFilter:
    """Return which executions the request is about; `service` and `job` are the path's.

    Raises:
        as `read_job_search`; also where a field names another one than the path.
    """
    asked = _asked(EXECUTION_QUERY, EXECUTION_SEARCH)
    services, jobs = asked.get("service_name"), asked.get("job_name")
    if service is not None:
        _check_same(services, service)
        if job is not None:
            _check_same(jobs, job)
            jobs = [job]
        services = [service] * len(jobs or [service])
    scopes = _scopes(services, jobs) or ("",)
    return ExecutionFilter(scopes, asked.get("since", 0), asked.get("more"))


def _asked(query: Schema, search: Schema) -> dict[str, Any]:
    """Return the fields of the query, and over them those of the body. Null is not given."""
    body: dict[str, Any] = {}
    if request.method == "POST":
        given = read_optional_object(current_app.config["MAX_PAYLOAD"]).value
        body = {name: value for name, value in given.items() if value is not None}
    in_query = {
        name: _value(name) for name in query.fields if name in request.args and name not in body
    }
    return {**loaded(query, in_query), **loaded(search, body)}


def _value(name: str) -> Any:
    """Return a parameter of the query, a list where it may be one."""
    values = request.args.getlist(name)
    if name in LISTS:
        return values
    if len(values) > 1:
        raise InvalidRequest.of(name, "duplicate", "is given twice")
    return values[0]


def _scopes(services: list[Any] | None, jobs: list[Any] | None) -> tuple[str, ...] | None:
    """Return what is searched, each once: services, or jobs as `service/job`; None: all."""
    if services is None and jobs is None:
        return None
    if not services or (jobs is not None and len(jobs) != len(services)):
        raise _wrong_names()
    for name in (*services, *(jobs or ())):
        _check_name(name)
    if jobs is None:
        return tuple(dict.fromkeys(services))
    pairs = zip(services, jobs, strict=True)
    return tuple(dict.fromkeys(f"{service}/{job}" for service, job in pairs))


def _check_name(name: Any) -> None:
    try:
        check_name(name if type(name) is str else "")
    except UnreadableRequest as error:
        raise _wrong_names() from error


def _check_same(names: list[Any] | None, own: str) -> None:
    if names is not None and any(name != own for name in names):
        raise _wrong_names()


def _wrong_names() -> UnreadableRequest:
    return UnreadableRequest("invalid_service_name", "Missing or invalid service_name")
