"""The timer that libcurl sets: uvloop's handle of what is due at once has no `when`."""

from __future__ import annotations

import asyncio

from workers.process import new_event_loop
from workers.transfers import Transfers


def test_a_timer_that_is_almost_due() -> None:
    async def body() -> bool:
        transfers = Transfers(10)
        loop = asyncio.get_running_loop()
        transfers._due = loop.time() + 0.0003
        transfers._on_timer()  # libcurl's was replaced by a later one meanwhile
        transfers._set_timer(5)
        return transfers._timer is not None

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(body())
