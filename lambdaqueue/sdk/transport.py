"""The seam between the SDK and the network: a request is a value, and so is its answer.

Give `LambdaQueue(transport=…)` one of your own to test without a network, or to send by another
HTTP library. `requests_transport.RequestsTransport` is the one that is used by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Request", "Response", "Transport"]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header values are text, sent as UTF-8; `timeout` is in seconds.

    Neither URL (that of a callback has a token) nor headers are shown.
    """

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a `Request`, whatever its status; header names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


class Transport(Protocol):
    """What sends requests; used by several threads at the same time."""

    def send(self, request: Request) -> Response:
        """Send it once, and return what was answered, 4xx and 5xx as well.

        Redirects are answers, too; they aren't followed.

        Raises:
            Unreachable: no complete answer came within `request.timeout`.
            ValueError: it is no request that can be sent.
        """
        ...

    def close(self) -> None:
        """Close what is open; sending again may open it anew."""
        ...
