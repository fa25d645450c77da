"""Reads what a request orders: pushes, batches and changes (`api/pushes.py`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lambdaqueue.commands import MAX_PAYLOAD, Change, Push
from lambdaqueue.reading import orders
from lambdaqueue.reading.option_headers import PUSH_HEADERS
from lambdaqueue.reading.orders import OWN, ItemReader
from lambdaqueue.spec import Spec
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import BATCH, Fields
from lambdaqueue.testing.loading import field_loaded, loaded

__all__ = ["Orders"]


class Orders:
    """Reads pushes and changes; `now` returns Unix ms."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.fields = Fields(now)
        item = self.fields.item
        self._reader = ItemReader(partial(loaded, item), partial(field_loaded, item))

    def push(self, call: Call) -> Push:
        """Return the push that the headers and the body ask for; paths name the header."""
        content_type, payload = call.content_type(), call.payload()
        given = PUSH_HEADERS.values(call.options())
        with PUSH_HEADERS.named():
            shared = {name: value for name, value in given.items() if name not in OWN}
            spec, rest = self._reader.shared(shared)
            own = self._reader.own({name: given[name] for name in OWN if name in given})
        traced = Spec(payload, content_type, traceparent=call.traceparent, **spec)
        return Push(traced, **rest, **own)

    def batch(self, call: Call) -> list[Push]:
        """Return the pushes of a batch, in order; paths begin with `items`."""
        items = loaded(BATCH, call.object())["items"]
        return self._reader.batch(items, MAX_PAYLOAD, call.traceparent)

    def change(self, call: Call) -> Change:
        """Return the change that a PATCH asks for."""
        return orders.read_change(loaded(self.fields.change, call.object()), MAX_PAYLOAD)
