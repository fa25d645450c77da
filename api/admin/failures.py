"""Errors as pages. The API's are JSON; these say the same to people."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException, Unauthorized
from werkzeug.wrappers import Response as AnyResponse

from lambdaqueue.errors import InvalidRequest, LambdaQueueError
from lambdaqueue.logs import Log
from lambdaqueue.rendering.problems import HTTP_ERRORS, STATUSES, patience

__all__ = ["install"]

log = Log("lambdaqueue.api")

DETAILS = {
    403: "Your account doesn't allow this.",
    404: "There is no such page, or it's gone.",
    405: "This page doesn't take that.",
    413: "That is too large.",
    415: "Only forms are taken here.",
}
"""For statuses whose usual words are about tokens and JSON."""


def install(panel: Blueprint) -> None:
    """Let `panel` answer every error with a page."""
    panel.register_error_handler(LambdaQueueError, _ours)
    panel.register_error_handler(HTTPException, _of_http)
    panel.register_error_handler(Exception, _unexpected)


def _ours(error: LambdaQueueError) -> Response:
    status = next(HTTP_ERRORS[each] for each in type(error).__mro__ if each in HTTP_ERRORS)[0]
    issues = error.issues if isinstance(error, InvalidRequest) else ()
    response = _page(status, "" if issues else str(error), issues)
    response.headers.update(patience(error))
    return response


def _of_http(error: HTTPException) -> AnyResponse:
    if isinstance(error, Unauthorized):
        return redirect(url_for("admin.sign_in.show"), 303)
    if error.response is not None:
        return make_response(error.response)
    status = error.code if error.code and error.code in STATUSES else 404
    own = type(error).description != error.description
    return _page(status, (own and error.description) or DETAILS.get(status))


def _unexpected(error: Exception) -> Response:
    log.error("request_failed", cause=error, request=g.request_id)
    return _page(500)


def _page(status: int, detail: str | None = None, issues: object = ()) -> Response:
    _, title, usual = STATUSES[status]
    body = render_template(
        "admin/error.html", status=status, title=title, detail=detail or usual, issues_found=issues,
        request_id=g.request_id, back=_back(status), was_form=request.method == "POST",
    )  # fmt: skip
    return make_response(body, status)


def _back(status: int) -> str | None:
    """Return the page's own path: of a form's address it leads to the form's page.

    None where there is no such page, and where its beginning is as wrong.
    """
    if status == HTTPStatus.NOT_FOUND or request.endpoint is None:
        return None
    return url_for(request.endpoint, **(request.view_args or {}))
