"""Items that are there: read, wait for, change, cancel, run. By id, or by key within a queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lambdaqueue.sdk.calling import path_of
from lambdaqueue.sdk.connection import Connection
from lambdaqueue.sdk.durations import Duration, seconds
from lambdaqueue.sdk.errors import NotFound
from lambdaqueue.sdk.models import Item
from lambdaqueue.sdk.options import as_json
from lambdaqueue.sdk.payloads import in_json
from lambdaqueue.sdk.places import absolute

__all__ = ["UNCHANGED", "Items", "changes", "item_path"]

LONGEST_WAIT = 20
"""Seconds that the server holds an answer back."""


class _Unchanged:
    """Stands for a payload that stays as it is; None is a payload, too."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Any = _Unchanged()


@dataclass(frozen=True, slots=True)
class Items:
    """The calls for one item, at its path."""

    connection: Connection
    clock: Callable[[], float] = time.monotonic

    def get(self, path: str) -> Item:
        """Return the item, also one that has ended."""
        return Item.read(self.connection.api.get(path))

    def wait(self, path: str, longest: Duration) -> Item:
        """Return the item when it has ended, or after that time as it is then."""
        until = self.clock() + seconds(longest)
        while True:
            left = max(0.0, until - self.clock())
            wait = min(LONGEST_WAIT, int(left + 0.999))
            answer = self.connection.api.call("GET", path, query={"wait": wait}, longer=wait)
            item = Item.read(answer.json)
            if item.ended or self.clock() >= until:
                return item

    def change(self, path: str, payload: Any, options: Mapping[str, Any]) -> Item:
        """Change what is named, and return the item as it is then."""
        body = changes(self.connection, payload, options)
        return Item.read(self.connection.api.call("PATCH", path, json=body).json)

    def cancel(self, path: str, missing_ok: bool) -> Item | None:
        """Cancel it, and return it; None where it's missing and that is all right."""
        try:
            told = self.connection.api.call("DELETE", path).json
        except NotFound:
            if missing_ok:
                return None
            raise
        return self.get(path) if told is None else Item.read(told)

    def run_now(self, path: str) -> Item:
        """Make it due now, and return it."""
        return Item.read(self.connection.api.call("POST", f"{path}/run", idempotency_key="").json)


def item_path(id: str) -> str:
    """Return the path of an item."""
    return path_of("items", id)


def changes(connection: Connection, payload: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a PATCH that changes `payload`, unless UNCHANGED, and `options`.

    Raises:
        ValueError: nothing is to be changed.
        ConfigurationError: a target is a path, and this application's URL isn't known.
    """
    given = absolute(options, connection.settings)
    content_type = given.pop("content_type", None)
    if given.get("target") is not None:
        bypass = connection.settings.bypass_headers(given["target"])
        if bypass:
            given["headers"] = {**bypass, **(given.get("headers") or {})}
    if payload is not UNCHANGED:
        return {**as_json(given), **in_json(payload, content_type)}
    if content_type is not None:
        raise ValueError("a content_type is changed with its payload")
    if not given:
        raise ValueError("say what to change")
    return as_json(given)
