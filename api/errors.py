"""Answers every error as JSON, our own and the framework's (`rendering/problems.py`)."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from lambdaqueue.errors import Issue, LambdaQueueError, RequestError
from lambdaqueue.logs import Log
from lambdaqueue.rendering.paths import misnamed_queue
from lambdaqueue.rendering.problems import STATUSES, known_as, patience, problem
from lambdaqueue.rendering.service_paths import misnamed_service

__all__ = ["install"]

log = Log("lambdaqueue.api")


def install(app: Flask) -> None:
    """Let `app` answer every error, its own and the framework's, as JSON."""
    app.register_error_handler(LambdaQueueError, _ours)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _unexpected)


def _ours(error: LambdaQueueError) -> Response:
    status, kind, issues = known_as(error)
    response = _response(status, kind=kind, detail=str(error), issues=issues)
    response.headers.update(patience(error))
    return response


def _of_http(error: HTTPException) -> Response:
    misnamed = _misnamed(request.path, error.code)
    if misnamed is not None:
        return _ours(misnamed)
    # What has no entry is a redirect to another spelling of the path: here no object has two.
    status = error.code if error.code and error.code in STATUSES else 404
    detail = error.description if type(error).description != error.description else None
    response = _response(status, detail=detail)
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def _misnamed(path: str, status: int | None) -> RequestError | None:
    """Return what is wrong with the names in a path that no route has taken, or none as it is."""
    if status == 404:
        return misnamed_queue(path) or misnamed_service(path)
    return misnamed_service(path) if status == 405 else None


def _unexpected(error: Exception) -> Response:
    log.error("request_failed", cause=error, request=g.request_id)
    return _response(500)


def _response(
    status: int, *, kind: str | None = None, detail: str | None = None, issues: Iterable[Issue] = ()
) -> Response:
    body = problem(status, kind=kind, detail=detail, issues=issues)
    return Response(body, status=status, content_type=_content_type())


def _content_type() -> str:
    asked = "application/problem+json"
    wanted = any(media == asked and quality > 0 for media, quality in request.accept_mimetypes)
    return asked if wanted else "application/json"
