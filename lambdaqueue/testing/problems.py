"""Errors as the in-memory server answers them."""

from __future__ import annotations

from lambdaqueue.errors import LambdaQueueError, RequestError
from lambdaqueue.rendering.problems import STATUSES, known_as, patience
from lambdaqueue.rendering.problems import problem as problem_json
from lambdaqueue.sdk.transport import Response

__all__ = ["NotInMemory", "Refused", "answer", "problem"]


class NotInMemory(LambdaQueueError):
    """Raised when a request is one that only a real LambdaQueue takes; the message names it."""


class Refused(RequestError):
    """Raised when a request is refused by what HTTP knows of it: a status, and why."""

    def __init__(self, status: int, detail: str | None = None) -> None:
        super().__init__(detail or STATUSES[status][2])
        self.status = status


def answer(body: bytes, status: int = 200, **headers: str) -> Response:
    """Return the JSON `body` as an answer; in the names of `headers` "_" stands for "-"."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"content-type": "application/json", **named}, body)


def problem(error: RequestError) -> Response:
    """Return how a request that can't be carried out is answered."""
    if isinstance(error, Refused):
        headers = {"www_authenticate": "Bearer"} if error.status == 401 else {}
        return answer(problem_json(error.status, detail=str(error)), error.status, **headers)
    status, kind, issues = known_as(error)
    body = problem_json(status, kind=kind, detail=str(error), issues=issues)
    headers = {name.lower(): value for name, value in patience(error).items()}
    return answer(body, status, **headers)
