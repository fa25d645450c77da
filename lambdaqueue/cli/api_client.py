"""The client commands' way to the HTTP API; every error says what to do next."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from lambdaqueue.cli.credentials import Credentials
from lambdaqueue.cli.failures import ApiError, UsageError
from lambdaqueue.cli.terminal import printable

__all__ = ["ORIGIN", "ApiClient", "api_origin", "queue_path"]

DEFAULT_URL = "http://127.0.0.1:8080"

ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
"""Scheme, host and port, and nothing else: no user either."""

TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and to wait for the answer."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")

START_IT = "start it with `make run` or `lambdaqueue up`, or set LQ_API_URL to where it runs"


class ApiClient:
    """Calls the API at LQ_API_URL with LQ_TOKEN, or with the token of `lambdaqueue up` here."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self.url = api_origin(env)
        self._token, self._source = _token(env)
        self._session = requests.Session()
        # Never through a proxy to this machine itself.
        self._session.trust_env = urlsplit(self.url).hostname not in LOOPBACK

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
        params: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, bytes] | None = None,
        body: bytes | None = None,
    ) -> tuple[int, Any]:
        """Send one request; return the status and the JSON of a good answer.

        Raises:
            ApiError: nobody answered, or with an error; the message says what to do.
        """
        try:
            response = self._session.request(
                method,
                f"{self.url}/api/v1{path}",
                params=params,
                headers=headers,
                data=body,
                auth=self._authorize,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.exceptions.InvalidHeader as error:
            raise UsageError(f"a value can't be sent as a header: {error}") from error
        except requests.exceptions.ConnectionError as error:
            raise ApiError(f"nothing answers at {self.url}: {START_IT}") from error
        except requests.exceptions.RequestException as error:
            raise ApiError(f"{self.url} could not be asked: {error}") from error
        return response.status_code, self._read(response)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the token last, so that no .netrc replaces it."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _read(self, response: requests.Response) -> Any:
        try:
            answer = response.json()
        except requests.exceptions.JSONDecodeError as error:
            raise ApiError(
                f"what answers at {self.url} (HTTP {response.status_code}) is not LambdaQueue: "
                f"{START_IT}"
            ) from error
        if 200 <= response.status_code <= 299:
            return answer
        raise ApiError(self._explain(response, answer if isinstance(answer, dict) else {}))

    def _explain(self, response: requests.Response, problem: Mapping[str, Any]) -> str:
        detail = printable(str(problem.get("detail") or problem.get("message") or response.reason))
        if response.status_code == 401:
            return (
                f"{self.url} refused the token from {self._source}. `lambdaqueue up` prints the "
                "right one at every start; set LQ_TOKEN to it"
            )
        if response.status_code == 422:
            return "\n".join(["refused:", *map(_issue, problem.get("issues") or ())])
        if response.status_code == 503:
            pause = response.headers.get("Retry-After", "a few")
            return f"not available now: {detail}. Try again in {pause} s"
        return f"HTTP {response.status_code}: {detail}"


def queue_path(queue: str, rest: str = "") -> str:
    """Return the path of a queue, whatever its name."""
    return f"/queues/{quote(queue, safe='')}{rest}"


def api_origin(env: Mapping[str, str]) -> str:
    """Return where LambdaQueue's API is: LQ_API_URL, else where `lambdaqueue up` has it.

    Raises:
        UsageError: it is no origin.
    """
    url = (env.get("LQ_API_URL") or DEFAULT_URL).rstrip("/")
    if ORIGIN.fullmatch(url) is None:
        raise UsageError(
            f"LQ_API_URL must be an origin like {DEFAULT_URL}, without a path, not {url!r}"
        )
    return url


def _token(env: Mapping[str, str]) -> tuple[str, str]:
    if env.get("LQ_TOKEN"):
        return env["LQ_TOKEN"], "LQ_TOKEN"
    kept = Credentials.find()
    if kept is not None:
        return kept.token, "./.lambdaqueue/credentials"
    raise UsageError(
        "there is no token: set LQ_TOKEN to the one that `lambdaqueue up` prints at every start, "
        "or call this in the folder where it runs"
    )


def _issue(issue: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in issue.get("path") or ())
    return printable(f"  {path or 'request'}: {issue.get('message', issue.get('code', ''))}")
