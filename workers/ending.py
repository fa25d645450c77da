"""The end of a task that goes on for ever."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["end"]

CANCEL_AGAIN = 0.05
"""Seconds."""


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel `task`, and return when it has ended; what it raised stays with it.

    Once isn't enough: before Python 3.12 `asyncio.wait_for`, in which the client of Redis sends,
    loses a cancellation that comes when what it waits for is just done (CPython's issue 86296).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN)
