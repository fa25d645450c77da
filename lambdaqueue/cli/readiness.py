"""One look at GET /ready."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from lambdaqueue.cli.terminal import printable

__all__ = ["readiness"]

TIMEOUT = 1.0
"""Seconds for one look."""


def readiness(url: str) -> str | None:
    """Return None when the server at `url` is ready, else why it is not."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/ready")
        response = connection.getresponse()
        body = response.read(2_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{url}/ready: {error!r}"
    finally:
        connection.close()
    return None if response.status == 200 else f"{url}/ready: {printable(body, 500)}"
