"""Items that aren't pushed yet."""

from __future__ import annotations

from typing import Any, Unpack

from lambdaqueue.sdk.options import PushOptions

__all__ = ["Push"]


class Push:
    """One of many items for `Queue.push_many`: its payload and its own options."""

    __slots__ = ("options", "payload")

    def __init__(self, payload: Any, **options: Unpack[PushOptions]) -> None:
        self.payload = payload
        self.options = options

    def __repr__(self) -> str:
        return f"Push({self.payload!r}, **{self.options!r})"
