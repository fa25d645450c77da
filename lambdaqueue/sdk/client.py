"""The client of one environment of LambdaQueue."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

from lambdaqueue.sdk.administration import Administration
from lambdaqueue.sdk.calling import Patience
from lambdaqueue.sdk.connection import Connection
from lambdaqueue.sdk.durations import Duration, seconds
from lambdaqueue.sdk.endpoint import Endpoint
from lambdaqueue.sdk.execution import Execution
from lambdaqueue.sdk.items import UNCHANGED, Items, item_path
from lambdaqueue.sdk.models import Item
from lambdaqueue.sdk.options import DeliveryOptions, ItemOptions
from lambdaqueue.sdk.places import Place
from lambdaqueue.sdk.queue import Queue
from lambdaqueue.sdk.queue_settings import QueueInfo
from lambdaqueue.sdk.schedules import Schedules
from lambdaqueue.sdk.services import Services
from lambdaqueue.sdk.settings import Settings
from lambdaqueue.sdk.timers import Periodic, Timers
from lambdaqueue.sdk.transport import Transport

__all__ = ["LambdaQueue"]

TIMEOUT = 10.0
RETRIES = 3


class LambdaQueue:
    """Where LambdaQueue is and what it knows; queues come from `queue`. Thread-safe.

    What isn't given is read from LQ_TOKEN, LQ_SECRET, LQ_API_URL and LQ_BASE_URL in `env`, and not
    before it's needed: making a client never fails. `timeout` is the seconds for each try of a
    call, `retries` how many may follow the first. Used in a `with` it's closed at the end.
    """

    def __init__(
        self,
        token: str | None = None,
        secret: str | None = None,
        api_url: str | None = None,
        base_url: str | None = None,
        *,
        transport: Transport | None = None,
        env: Mapping[str, str] = os.environ,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
    ) -> None:
        settings = Settings(
            env=env,
            given_token=token,
            given_secret=secret,
            given_api_url=api_url,
            given_base_url=base_url,
        )
        self._connection = Connection(
            settings, transport, timeout=timeout, patience=Patience(retries=retries)
        )
        self._items = Items(self._connection)
        self.schedules = Schedules(self._connection)
        self.services = Services(self._connection)
        self.timers = Timers(self._connection)
        self.periodic = Periodic(self._connection)
        self.administration = Administration(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._connection.close()

    def queue(
        self,
        path_or_name: str,
        *,
        secret: str | None = None,
        **defaults: Unpack[DeliveryOptions],
    ) -> Queue:
        """Return a queue. "/welcome" is the queue "welcome", whose jobs come to /welcome here.

        A name without the slash has no path: its jobs go to `target` (a URL, or a path here), or
        where the queue's settings on the server say. `secret` is the queue's own, where it isn't
        validated. The others are defaults for whatever is pushed by it.

        Raises:
            ValueError: it is neither a path nor a name.
        """
        place = Place.of(path_or_name, defaults.pop("target", None))
        return Queue(self._connection, place, secret=secret, defaults=defaults)

    def queues(self) -> Iterator[QueueInfo]:
        """Yield every queue of the environment, by name."""
        return map(QueueInfo.read, self._connection.api.pages("/queues", "queues"))

    @property
    def handlers(self) -> Mapping[str, Endpoint]:
        """Every endpoint of a queue that has a handler, by its path."""
        return self._connection.endpoints

    @property
    def handlers_without_path(self) -> tuple[str, ...]:
        """The queues whose handler has no path here, so that no `mount` of all queues finds it."""
        return self._connection.without_path

    def execution(self, callback_url: str, *, heartbeat: Duration | None = None) -> Execution:
        """Return the execution that `callback_url` tells of, to send heartbeats and its end.

        `heartbeat` is the interval of the job, where that isn't 30 s; its handler has it as
        `job.execution.interval`.

        Raises:
            ConfigurationError: it leads elsewhere than to LQ_API_URL.
        """
        execution = self._connection.execution(callback_url)
        if heartbeat is not None:
            execution.interval = seconds(heartbeat)
        return execution

    def get(self, id: str) -> Item:
        """Return an item, also one that has ended, while history keeps it."""
        return self._items.get(item_path(id))

    def wait(self, id: str, *, longest: Duration = 60) -> Item:
        """Return an item when it has ended; after `longest` as it is then: look at `.ended`."""
        return self._items.wait(item_path(id), longest)

    @overload
    def cancel(self, id: str, *, missing_ok: Literal[False] = ...) -> Item: ...

    @overload
    def cancel(self, id: str, *, missing_ok: bool) -> Item | None: ...

    def cancel(self, id: str, *, missing_ok: bool = False) -> Item | None:
        """Cancel an item; see `Queue.cancel`."""
        return self._items.cancel(item_path(id), missing_ok)

    def change(self, id: str, *, payload: Any = UNCHANGED, **options: Unpack[ItemOptions]) -> Item:
        """Change what is named of an item; see `Queue.change`."""
        return self._items.change(item_path(id), payload, options)

    def run_now(self, id: str) -> Item:
        """Make a waiting item due now; see `Queue.run_now`."""
        return self._items.run_now(item_path(id))

    def send_message(
        self, url: str, payload: Any, *, event_type: str | None = None, attempt: int | None = None
    ) -> str:
        """Post JSON to a URL, tried again for most of an hour; return the item's id.

        `attempt` is the number of the first attempt, where others have tried before.
        """
        told = {"url": url, "payload": payload, "eventType": event_type, "attempt": attempt}
        body = {name: value for name, value in told.items() if value is not None}
        body["payload"] = payload
        answer = self._connection.api.call("POST", "/messages", json=body, idempotency_key="")
        return str(answer.json["id"])
