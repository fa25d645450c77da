"""A queue as an application has it: a client that pushes to it, and a handler of its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, overload

from lambdaqueue.sdk.connection import Connection
from lambdaqueue.sdk.delivery import MAX_BODY
from lambdaqueue.sdk.endpoint import Endpoint, Handler
from lambdaqueue.sdk.errors import ConfigurationError
from lambdaqueue.sdk.places import Place
from lambdaqueue.sdk.queue_client import QueueClient
from lambdaqueue.sdk.replay_guard import ReplayGuard
from lambdaqueue.sdk.settings import parse_secrets
from lambdaqueue.signing import Secret

__all__ = ["Queue"]

H = TypeVar("H", bound=Handler)


class Decorator(Protocol):
    """What makes a function the handler, and returns it as it is."""

    def __call__(self, function: H, /) -> H: ...


class Queue(QueueClient):
    """A named line of jobs; made by `LambdaQueue.queue`, thread-safe.

    What calls the API raises `ApiError`, or `ConfigurationError` where a setting is missing;
    ValueError and TypeError where an option can't be meant as it is.
    """

    def __init__(
        self,
        connection: Connection,
        place: Place,
        *,
        secret: str | None,
        defaults: Mapping[str, Any],
    ) -> None:
        super().__init__(connection, place, defaults)
        self._secret = secret
        self._endpoint: Endpoint | None = None

    @property
    def path(self) -> str | None:
        """The path of its endpoint in this application; None where it has none here."""
        return self._place.path

    @overload
    def handler(self, function: H, /) -> H: ...

    @overload
    def handler(
        self,
        *,
        guard: ReplayGuard | None = None,
        show_errors: bool = True,
        max_body: int = MAX_BODY,
    ) -> Decorator: ...

    def handler(
        self,
        function: Handler | None = None,
        *,
        guard: ReplayGuard | None = None,
        show_errors: bool = True,
        max_body: int = MAX_BODY,
    ) -> Any:
        """Make a function the handler of this queue's jobs, and return it as it is.

        It's called with the payload and the `Job`. What it returns is the result; an exception is
        a failed attempt, which is retried by the policy. With a `guard` work that was done isn't
        done again; with `show_errors=False` LambdaQueue isn't told an exception's text. Payloads of
        more than `max_body` bytes are refused, for good.

        Raises:
            ConfigurationError: the queue, or its path, has a handler already.
        """

        def mark(function: H, /) -> H:
            self._serve(
                Endpoint(
                    handler=function,
                    secrets=self._secrets,
                    urls=lambda: self._place.urls(self._connection.settings),
                    guard=guard,
                    callbacks=self._connection.execution,
                    show_errors=show_errors,
                    max_body=max_body,
                )
            )
            return function

        return mark if function is None else mark(function)

    @property
    def endpoint(self) -> Endpoint:
        """What answers the deliveries of its jobs.

        Raises:
            ConfigurationError: it has no handler.
        """
        if self._endpoint is None:
            raise ConfigurationError(
                f"the queue {self.name} has no handler: decorate a function with @queue.handler"
            )
        return self._endpoint

    def _serve(self, endpoint: Endpoint) -> None:
        if self._endpoint is not None:
            raise ConfigurationError(f"the queue {self.name} has a handler already")
        self._connection.serve(self.name, self.path, endpoint)
        self._endpoint = endpoint

    def _secrets(self) -> tuple[Secret, ...]:
        if self._secret is not None:
            return parse_secrets(self._secret, f"the secret of the queue {self.name}")
        return self._connection.settings.secrets()
