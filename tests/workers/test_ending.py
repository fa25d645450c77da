"""A task has ended when `end` returns, though it missed that it was cancelled."""

from __future__ import annotations

import asyncio
import contextlib

from workers.ending import end


async def hard_of_hearing(begun: asyncio.Event) -> None:
    begun.set()
    with contextlib.suppress(asyncio.CancelledError):  # as `asyncio.wait_for` may
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def ended() -> asyncio.Task[None]:
    begun = asyncio.Event()
    task = asyncio.create_task(hard_of_hearing(begun))
    await begun.wait()
    await end(task)
    return task


def test_it_is_cancelled_until_it_ends() -> None:
    assert asyncio.run(asyncio.wait_for(ended(), 20)).cancelled()
