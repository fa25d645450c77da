"""Deliveries that ask for callbacks, as the sample service reads them. Pure.

Nothing that a delivery says is ever called as it stands: of its callback URL only the token is
taken, and that only if the rest is the server's that we know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.cli.terminal import printable
from lambdaqueue.errors import LambdaQueueError, RequestError
from lambdaqueue.sdk import invocation

__all__ = ["Invocation", "Stranger", "json_object"]

MOST_RUNS = 10**9
"""Where the counter that is kept as state begins anew."""

URL_SHOWN = 120
"""Characters of a refused URL that are printed."""


class Stranger(LambdaQueueError):
    """Raised when a delivery asks for callbacks to another server than the one known here."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A delivery that asks for callbacks: the start of a service job, or an async item.

    `key` is the same for every attempt, `interval` is seconds between two heartbeats, `runs` the
    counter that the last successful run has left; None for an item, which has no next run.
    """

    key: str
    name: str
    attempt: int
    token: str = field(repr=False)
    interval: float = invocation.DEFAULT_INTERVAL
    runs: int | None = None

    @classmethod
    def read(cls, headers: Mapping[str, str], body: bytes, api: str) -> Invocation | None:
        """Return what a delivery asks for; None if it isn't callbacks.

        `headers` have lower-case names. An item's payload may have a `callback_url` of its own:
        the header, which the server alone can set, counts before it.

        Raises:
            Stranger: the callbacks would go elsewhere than to the origin `api`.
        """
        said = json_object(body)
        asked = invocation.Invocation.of(headers, said)
        if asked is None:
            return None
        job = said if said.get("callback_url") == asked.url else {}
        execution = str(job.get("execution_name") or headers.get("x-lq-id", "execution"))
        attempt = headers.get("x-lq-attempt", "")
        return cls(
            key=headers.get("webhook-id", execution),
            name=f"{job['service_name']}/{job.get('job_name')} {execution}"
            if "service_name" in job
            else execution,
            attempt=int(attempt) if re.fullmatch("[0-9]{1,9}", attempt) else 0,
            token=_token(asked.url, api),
            interval=asked.interval,
            runs=_runs(job) if job else None,
        )

    def follows(self, other: Invocation) -> bool:
        """Tell whether this is a newer attempt than `other`, of the same execution."""
        return self.token != other.token and self.attempt >= other.attempt


def json_object(text: bytes) -> dict[str, Any]:
    """Return the object that `text` says in JSON, else an empty one."""
    try:
        return strict_json.parse_object(text)
    except RequestError:
        return {}


def _token(url: str, api: str) -> str:
    token = invocation.callback_token(url, api)
    if token is None:
        raise Stranger(
            f"calls back to {api} only, not to {printable(url, URL_SHOWN)}; "
            "set LQ_API_URL to the server's LQ_PUBLIC_URL"
        )
    return token


def _runs(job: Mapping[str, Any]) -> int:
    """Read the counter that a run before has left as its state."""
    last = job.get("last_successful_execution")
    state = last.get("state") if isinstance(last, dict) else None
    runs = state.get("runs") if isinstance(state, dict) else None
    return runs if type(runs) is int and 0 <= runs < MOST_RUNS else 0
