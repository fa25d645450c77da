"""That a delivery asks for callbacks, and whether that is for us to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lambdaqueue.sdk.settings import origin_of

__all__ = ["DEFAULT_INTERVAL", "Invocation", "callback_token"]

DEFAULT_INTERVAL, LONGEST_INTERVAL = 30.0, 3_600.0
"""Seconds between two heartbeats: where none are told, and the most that the server takes."""

CALLBACK = re.compile(r"([^/]+//[^/]+)/api/v1/callback/([A-Za-z0-9_-]{1,200})")


@dataclass(frozen=True, slots=True)
class Invocation:
    """That a delivery asks for callbacks: to `url`, and a heartbeat in each `interval` seconds."""

    url: str = field(repr=False)
    interval: float

    @classmethod
    def of(cls, headers: Mapping[str, str], payload: Any) -> Invocation | None:
        """Read a verified delivery; None where its answer ends the job.

        An item says it in headers, which no user can set, a service job in its body. A payload
        that only looks like the latter doesn't name the execution that its signature is for.
        """
        url = headers.get("x-lq-callback-url")
        if url is not None:
            text = headers.get("x-lq-heartbeat", "")
            ms = int(text) if re.fullmatch("[0-9]{1,7}", text) else 0
            return cls(url, _interval(ms / 1_000))
        if not isinstance(payload, dict):
            return None
        url, name = payload.get("callback_url"), payload.get("execution_name")
        signed = headers.get("webhook-id", "")
        if not (isinstance(url, str) and isinstance(name, str) and signed.startswith(f"{name}_")):
            return None
        return cls(url, _interval(payload.get("heartbeat_interval_seconds")))


def _interval(told: Any) -> float:
    known = isinstance(told, int | float) and 0 < told <= LONGEST_INTERVAL
    return float(told) if known else DEFAULT_INTERVAL


def callback_token(url: str, api_url: str) -> str | None:
    """Return the token of a callback URL; None if it isn't of the LambdaQueue at `api_url`."""
    found, ours = CALLBACK.fullmatch(url), origin_of(api_url)
    return found[2] if found and ours is not None and origin_of(found[1]) == ours else None
