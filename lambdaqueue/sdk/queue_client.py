"""A queue's client side: pushing jobs, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, Unpack, overload

from lambdaqueue.sdk.calling import path_of
from lambdaqueue.sdk.connection import Connection
from lambdaqueue.sdk.durations import Duration, instant
from lambdaqueue.sdk.items import UNCHANGED, Items, item_path
from lambdaqueue.sdk.models import Entry, Item, Schedule
from lambdaqueue.sdk.options import (
    ItemOptions,
    PushOptions,
    ScheduleOptions,
    as_headers,
    as_json,
    merged,
)
from lambdaqueue.sdk.payloads import encoded, in_json
from lambdaqueue.sdk.places import Place, absolute
from lambdaqueue.sdk.pushes import Push
from lambdaqueue.sdk.queue_settings import (
    QueueInfo,
    QueueSettings,
    Rate,
    rate_as_json,
    settings_as_json,
)
from lambdaqueue.sdk.schedules import set_schedule

__all__ = ["QueueClient"]


class QueueClient:
    """A queue as whoever pushes to it sees it.

    What calls the API raises `ApiError`, or `ConfigurationError` where a setting is missing;
    ValueError and TypeError where an option can't be meant as it is.
    """

    def __init__(self, connection: Connection, place: Place, defaults: Mapping[str, Any]) -> None:
        self.name = place.name
        self._connection = connection
        self._place = place
        self._defaults = dict(defaults)
        self._items = Items(connection)
        self._api_path = path_of("queues", self.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    # Pushing

    def push(self, payload: Any = None, **options: Unpack[PushOptions]) -> Item:
        """Push a job, and return it as it is stored.

        `payload` is anything that JSON has, or bytes, which are delivered as they are. It's safe
        against repeats: where no answer comes it's sent again, and is one job still.
        """
        given = self._prepared(options)
        body, kind = encoded(payload, given.pop("content_type", None))
        key = given.pop("idempotency_key", "")
        answer = self._connection.api.call(
            "POST",
            f"{self._api_path}/items",
            headers=as_headers(given),
            body=body,
            content_type=kind,
            idempotency_key=key,
        )
        return Item.read(answer.json)

    def push_many(self, pushes: Iterable[Any], *, idempotency_key: str | None = None) -> list[Item]:
        """Push up to 1000 jobs, all or none; return them in the same order.

        Each is a payload, or a `Push` with options of its own. Of a refused one the error's
        `issues` tell the place: `("items", 3, "target")`.
        """
        body = {"items": [self._in_batch(push) for push in pushes]}
        if not body["items"]:
            return []
        answer = self._connection.api.call(
            "POST",
            f"{self._api_path}/items/batch",
            json=body,
            idempotency_key=idempotency_key or "",
        )
        return [Item.read(raw) for raw in answer.json["items"]]

    def schedule(self, payload: Any, schedule: str, **options: Unpack[ScheduleOptions]) -> Schedule:
        """Push `payload` by the clock: "0 9 * * MON-FRI", "every(10s)", "rate(1 day)", ….

        With `key=` it can be called at every start: the schedule of this key is then as it's said
        here, and one that is so already doesn't change at all.
        """
        given = self._prepared(options)
        content = in_json(payload, given.pop("content_type", None))
        fields = {"queue": self.name, "schedule": schedule, **as_json(given), **content}
        return set_schedule(self._connection, fields)

    # One item

    def get(self, id: str) -> Item:
        """Return an item, also one that has ended, while history keeps it."""
        return self._items.get(item_path(id))

    def get_by_key(self, key: str) -> Item:
        """Return the item with this key: the unprocessed one, else the newest that has ended."""
        return self._items.get(self._by_key(key))

    def wait(
        self, id: str | None = None, *, key: str | None = None, longest: Duration = 60
    ) -> Item:
        """Return an item when it has ended; after `longest` as it is then: look at `.ended`."""
        return self._items.wait(self._item(id, key), longest)

    @overload
    def cancel(
        self, id: str | None = ..., *, key: str | None = ..., missing_ok: Literal[False] = ...
    ) -> Item: ...

    @overload
    def cancel(
        self, id: str | None = ..., *, key: str | None = ..., missing_ok: bool
    ) -> Item | None: ...

    def cancel(
        self, id: str | None = None, *, key: str | None = None, missing_ok: bool = False
    ) -> Item | None:
        """Cancel an item. A running call isn't aborted, but no retry follows it.

        With `missing_ok` None is returned where there is nothing to cancel any more.

        Raises:
            NotFound: it has ended, or never was.
        """
        return self._items.cancel(self._item(id, key), missing_ok)

    def change(
        self,
        id: str | None = None,
        *,
        key: str | None = None,
        payload: Any = UNCHANGED,
        **options: Unpack[ItemOptions],
    ) -> Item:
        """Change what is named of an item, which makes a new version of it; the rest stays.

        Raises:
            NotFound: it has ended, or never was.
        """
        return self._items.change(self._item(id, key), payload, options)

    def run_now(self, id: str | None = None, *, key: str | None = None) -> Item:
        """Make a waiting item due now.

        Raises:
            Conflict: it's running, or has ended.
        """
        if id is None:
            id = self._items.get(self._item(id, key)).id
        return self._items.run_now(item_path(id))

    # Many items

    def items(self, state: Literal["PENDING", "RUNNING", "RETRY"] | None = None) -> Iterator[Item]:
        """Yield what waits and runs, in the order in which it's done."""
        path = f"{self._api_path}/items"
        return map(Item.read, self._connection.api.pages(path, "items", {"state": state}))

    def history(
        self,
        state: Literal["COMPLETED", "FAILED", "CANCELLED"] | None = None,
        *,
        key: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Entry]:
        """Yield what has ended, newest first."""
        query = _filter(state=state, key=key, since=since, until=until)
        path = f"{self._api_path}/history"
        return map(Entry.read, self._connection.api.pages(path, "entries", query))

    def replay(self, entry_id: str, *, target: str | None = None) -> Item:
        """Push again what FAILED or was CANCELLED; `entry_id` is that of its `Entry`.

        Raises:
            Conflict: it was COMPLETED, so its payload isn't kept.
        """
        body = {} if target is None else {"target": target}
        path = f"{self._api_path}{path_of('history', entry_id)}/replay"
        answer = self._connection.api.call("POST", path, json=body, idempotency_key="")
        return Item.read(answer.json)

    def replay_all(
        self,
        state: Literal["FAILED", "CANCELLED"] = "FAILED",
        *,
        key: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        target: str | None = None,
        rate: Rate | None = None,
    ) -> int:
        """Push again all that ended so, newest first; return how many. `rate` spreads them."""
        body: dict[str, Any] = _filter(state=state, key=key, since=since, until=until)
        body |= {} if target is None else {"target": target}
        body |= {} if rate is None else {"rate": rate_as_json(rate)}
        path, replayed = f"{self._api_path}/history/replay", 0
        while True:
            told = self._connection.api.call("POST", path, json=body, idempotency_key="").json
            replayed += int(told["replayed"])
            if not told.get("more"):
                return replayed
            body["cursor"] = told["nextCursor"]

    # The queue itself

    def info(self) -> QueueInfo:
        """Return its numbers and settings.

        Raises:
            NotFound: nothing was ever pushed to it, or set.
        """
        return QueueInfo.read(self._connection.api.get(self._api_path))

    def configure(self, **settings: Unpack[QueueSettings]) -> QueueInfo:
        """Change the settings that are named; None sets one back to its default."""
        body = settings_as_json(absolute(settings, self._connection.settings))
        answer = self._connection.api.call("PATCH", self._api_path, json=body, repeatable=True)
        return QueueInfo.read(answer.json)

    def pause(self) -> QueueInfo:
        """Start no further attempt; what is out goes on, and pushes are taken."""
        return self._do("pause")

    def resume(self) -> QueueInfo:
        """Go on."""
        return self._do("resume")

    def purge(
        self, state: Literal["PENDING", "RETRY", "COMPLETED", "FAILED", "CANCELLED"] | None = None
    ) -> int:
        """Delete all that waits, or all of one state; return how many."""
        path, purged = f"{self._api_path}/purge", 0
        body = {} if state is None else {"state": state}
        while True:
            told = self._connection.api.call("POST", path, json=body, repeatable=True).json
            purged += int(told["purged"])
            if not told.get("more"):
                return purged

    def delete(self) -> None:
        """Forget it with its settings and its history.

        Raises:
            Conflict: items wait or run.
        """
        self._connection.api.call("DELETE", self._api_path)

    def secret(self) -> str:
        """Return the queue's own secret, which signs where its `validation` is "none"."""
        return str(self._connection.api.get(f"{self._api_path}/secret")["secret"])

    def _do(self, action: str) -> QueueInfo:
        path = f"{self._api_path}/{action}"
        return QueueInfo.read(self._connection.api.call("POST", path, repeatable=True).json)

    def _prepared(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that were given, the defaults below them, and where it goes."""
        return self._place.fill(merged(self._defaults, given), self._connection.settings)

    def _in_batch(self, push: Any) -> dict[str, Any]:
        given = self._prepared(push.options if isinstance(push, Push) else {})
        payload = push.payload if isinstance(push, Push) else push
        return {**in_json(payload, given.pop("content_type", None)), **as_json(given)}

    def _by_key(self, key: str) -> str:
        return f"{self._api_path}/items{path_of('byKey', key)}"

    def _item(self, id: str | None, key: str | None) -> str:
        if (id is None) == (key is None):
            raise TypeError("name the item: either its id, or key=")
        return self._by_key(key) if key is not None else item_path(id or "")


def _filter(
    *, state: str | None, key: str | None, since: datetime | None, until: datetime | None
) -> dict[str, str]:
    told = {
        "state": state,
        "key": key,
        "since": None if since is None else instant(since),
        "until": None if until is None else instant(until),
    }
    return {name: value for name, value in told.items() if value is not None}
