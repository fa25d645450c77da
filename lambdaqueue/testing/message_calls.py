"""Direct messages: post this to that URL (`api/messages.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lambdaqueue import strict_json
from lambdaqueue.commands import MAX_PAYLOAD, Push
from lambdaqueue.messages import QUEUE, message_spec
from lambdaqueue.reading.orders import compact
from lambdaqueue.sdk.transport import Response
from lambdaqueue.spec import Message
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import MESSAGE
from lambdaqueue.testing.loading import loaded
from lambdaqueue.testing.problems import answer
from lambdaqueue.testing.routing import Route
from lambdaqueue.testing.world import World

__all__ = ["MessageCalls"]

HEADER_NAME = "LambdaQueue"
"""What LQ_HEADER_NAME is where nobody has set it."""


class MessageCalls:
    """Answers about messages."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> Iterator[Route]:
        """Yield what is answered here."""
        yield Route("POST", "/messages", self.send)

    def send(self, call: Call) -> Response:
        wanted = loaded(MESSAGE, call.object())
        payload = compact(wanted["payload"], "payload", MAX_PAYLOAD)
        message = Message(HEADER_NAME, wanted["attempt"])
        spec = message_spec(payload, wanted["url"], wanted["event_type"], message)
        spec = replace(spec, traceparent=call.traceparent)

        def carry_out() -> Response:
            pushed = self._world.push(QUEUE, [Push(spec)])[0]
            return answer(strict_json.dumps({"id": pushed.job.id}), 202)

        return self._world.once(call, carry_out)
