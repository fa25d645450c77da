"""The line that `lambdaqueue listen` prints about a delivery. Pure, but for the clock's zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from lambdaqueue.cli.endpoint import Verdict
from lambdaqueue.cli.terminal import printable
from lambdaqueue.instants import parse_instant

__all__ = ["Delivery", "time_of_day"]

BODY_SHOWN = 200
"""Characters of a body that are printed."""

CALLBACK_TOKEN = re.compile(r"(/api/v1/callback/)[A-Za-z0-9_-]+")
"""Whoever has one may end an execution, so none is printed."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request as it came; header names are lower-case, `received` is Unix s."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    received: float

    def line(self, verdict: Verdict) -> str:
        """Return one line about it, in which nothing from outside is more than text."""
        headers = self.headers
        parts = [f"{self.method} {self.path}"]
        if "x-lq-queue" in headers:
            parts.append(f"queue={headers['x-lq-queue']}")
        if "x-lq-key" in headers:
            parts.append(f"key={unquote(headers['x-lq-key'])}")
        if "x-lq-attempt" in headers:
            most = headers.get("x-lq-max-attempts", "?")
            parts.append(f"attempt {headers['x-lq-attempt']}/{most}")
        parts.append(verdict.words)
        parts.append(_lateness(headers.get("x-lq-scheduled-for"), self.received))
        parts.append(f"-> {verdict.status}")
        body = self.body.decode("utf-8", "backslashreplace")
        parts.append(CALLBACK_TOKEN.sub(r"\1…", body))
        shown = [printable(part, BODY_SHOWN) for part in parts if part]
        return "  ".join([time_of_day(self.received), *shown])


def time_of_day(at: float) -> str:
    """Return the time of day here at `at` (Unix s), with milliseconds."""
    return datetime.fromtimestamp(at).isoformat(timespec="milliseconds")[11:]


def _lateness(scheduled_for: str | None, received: float) -> str:
    if scheduled_for is None:
        return ""
    try:
        due = parse_instant(scheduled_for)
    except ValueError:
        return "x-lq-scheduled-for is no instant"
    return f"{round(received * 1_000) - due:+d} ms"
