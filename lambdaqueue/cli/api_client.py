"""The client commands' way to the HTTP API; every error says what to do next."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from http.client import responses
from typing import Any

from lambdaqueue.cli.credentials import Credentials
from lambdaqueue.cli.failures import ApiError, UsageError
from lambdaqueue.cli.terminal import printable
from lambdaqueue.sdk import errors
from lambdaqueue.sdk.calling import Api, Patience, Query, path_of
from lambdaqueue.sdk.payloads import JSON_TYPE
from lambdaqueue.sdk.requests_transport import RequestsTransport
from lambdaqueue.sdk.settings import Settings

__all__ = ["ApiClient", "api_origin", "queue_path"]

TIMEOUT = 30.0
"""Seconds for one call."""

START_IT = "start it with `make run` or `lambdaqueue up`, or set LQ_API_URL to where it runs"


class ApiClient:
    """Calls the API at LQ_API_URL with LQ_TOKEN, or with the token of `lambdaqueue up` here."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self.url = api_origin(env)
        token, self._source = _token(env)
        # Whoever looks at a terminal repeats it himself, and is told at once.
        patience = Patience(retries=0)
        self._api = Api(self.url, token, RequestsTransport(), timeout=TIMEOUT, patience=patience)

    def get(self, path: str, **params: str | int | None) -> Any:
        """GET the JSON at `path` (below /api/v1)."""
        return self.call("GET", path, params=params)[1]

    def rows(self, plural: str) -> Iterator[dict[str, Any]]:
        """Yield what `GET /<plural>` lists, page after page; raises as `call`."""
        cursor = None
        while True:
            page = self.get(f"/{plural}", limit=1_000, cursor=cursor)
            yield from page[plural]
            cursor = page.get("nextCursor")
            if cursor is None:
                return

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Query | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON_TYPE,
    ) -> tuple[int, Any]:
        """Send one request; return the status and the JSON of a good answer.

        Raises:
            ApiError: nobody answered, or with an error; the message says what to do.
            UsageError: a value can't be sent.
        """
        try:
            answer = self._api.call(
                method,
                path,
                query=params,
                headers=headers,
                body=body,
                content_type=content_type,
            )
        except ValueError as error:
            raise UsageError(f"a value can't be sent as a header: {error}") from error
        except errors.ApiError as error:
            raise ApiError(self._explain(error)) from error
        return answer.status, answer.json

    def _explain(self, error: errors.ApiError) -> str:
        if error.status is None or isinstance(error, errors.UnexpectedAnswer):
            return f"{error.args[0].partition(': ')[0]}: {START_IT}"
        detail = printable(error.detail or responses.get(error.status, "no reason given"))
        if isinstance(error, errors.Unauthorized):
            return (
                f"{self.url} refused the token from {self._source}. `lambdaqueue up` prints the "
                "right one at every start; set LQ_TOKEN to it"
            )
        if error.status == 422:
            return "\n".join(["refused:", *map(_issue, error.issues)])
        if error.status == 503:
            pause = "a few" if error.retry_after is None else f"{error.retry_after:g}"
            return f"not available now: {detail}. Try again in {pause} s"
        return f"HTTP {error.status}: {detail}"


def queue_path(queue: str, rest: str = "") -> str:
    """Return the path of a queue, whatever its name.

    Raises:
        UsageError: it can't be one.
    """
    try:
        return f"{path_of('queues', queue)}{rest}"
    except ValueError as error:
        raise UsageError(str(error)) from error


def api_origin(env: Mapping[str, str]) -> str:
    """Return where LambdaQueue's API is: LQ_API_URL, else where `lambdaqueue up` has it.

    Raises:
        UsageError: it is no origin.
    """
    try:
        return Settings(env=env).api_url()
    except errors.ConfigurationError as error:
        raise UsageError(str(error)) from error


def _token(env: Mapping[str, str]) -> tuple[str, str]:
    if env.get("LQ_TOKEN"):
        try:
            return Settings(env=env).token(), "LQ_TOKEN"
        except errors.ConfigurationError as error:
            raise UsageError(str(error)) from error
    kept = Credentials.find()
    if kept is not None:
        return kept.token, "./.lambdaqueue/credentials"
    raise UsageError(
        "there is no token: set LQ_TOKEN to the one that `lambdaqueue up` prints at every start, "
        "or call this in the folder where it runs"
    )


def _issue(issue: errors.Issue) -> str:
    path = ".".join(map(str, issue.path))
    return printable(f"  {path or 'request'}: {issue.message or issue.code}")
