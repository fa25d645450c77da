"""The SDK: a client of the HTTP API, and what answers deliveries. Needs nothing but requests."""

from __future__ import annotations

__all__: list[str] = []
