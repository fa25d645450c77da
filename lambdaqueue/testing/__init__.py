"""LambdaQueue in memory, for an application's own tests: no Redis, no sockets, no waiting.

    from lambdaqueue.testing import in_memory

    def test_welcome():
        with in_memory(app.lq) as memory:       # the application's own client and handlers
            app.sign_up("Alfonso")
            memory.assert_pushed("welcome", payload={"name": "Alfonso"}, delay="10m")
            memory.clock.advance("10m")         # the handler runs, verified and decoded as ever
            assert app.welcome.get_by_key("user-42").state == "COMPLETED"

It answers as a real server does, with the same rules and the same JSON. What a queue's settings say
of rates, flows, order, breakers and days of history is kept and has no effect: every job starts
when it's due, one after the other, and retries and schedules come without jitter. `NotInMemory`
tells of what only a real one can.
"""

from __future__ import annotations

from lambdaqueue.testing.clock import Clock
from lambdaqueue.testing.courier import EndlessWork
from lambdaqueue.testing.memory import API_URL, BASE_URL, Memory, MemoryLambdaQueue, in_memory
from lambdaqueue.testing.problems import NotInMemory
from lambdaqueue.testing.pushed import Pushed
from lambdaqueue.testing.signed import SignedRequest, signed_request, validation_request

LambdaQueue = MemoryLambdaQueue

__all__ = [
    "API_URL",
    "BASE_URL",
    "Clock",
    "EndlessWork",
    "LambdaQueue",
    "Memory",
    "MemoryLambdaQueue",
    "NotInMemory",
    "Pushed",
    "SignedRequest",
    "in_memory",
    "signed_request",
    "validation_request",
]
