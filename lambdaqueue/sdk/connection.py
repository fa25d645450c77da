"""What a client and its queues share: the settings, the way to the API, and who has a handler."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType

from lambdaqueue.sdk.calling import Api, Patience
from lambdaqueue.sdk.endpoint import Endpoint
from lambdaqueue.sdk.errors import ConfigurationError
from lambdaqueue.sdk.execution import Execution
from lambdaqueue.sdk.settings import Settings
from lambdaqueue.sdk.transport import Transport

__all__ = ["Connection", "Taken"]

Taken = tuple[Settings, Transport | None]
"""Settings and a transport, as they were taken out of a connection."""


class Connection:
    """The settings and what follows from them, each made when it's needed first."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport | None,
        *,
        timeout: float,
        patience: Patience,
    ) -> None:
        self.settings = settings
        self._transport = transport
        self._timeout = timeout
        self._patience = patience
        self._api: Api | None = None
        self._endpoints: dict[str, Endpoint] = {}
        self._without_path: list[str] = []
        self._making = threading.Lock()

    @property
    def transport(self) -> Transport:
        """What sends requests."""
        with self._making:
            if self._transport is None:
                # Importing it takes longer than all else here; who only answers needs it not.
                from lambdaqueue.sdk.requests_transport import RequestsTransport

                self._transport = RequestsTransport()
            return self._transport

    @property
    def api(self) -> Api:
        """The way to the API.

        Raises:
            ConfigurationError: a setting that it needs is missing or wrong.
        """
        if self._api is None:
            self._api = Api(
                self.settings.api_url(),
                self.settings.token(),
                self.transport,
                timeout=self._timeout,
                patience=self._patience,
            )
        return self._api

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Every endpoint that has a handler, by its path."""
        return MappingProxyType(self._endpoints)

    @property
    def without_path(self) -> tuple[str, ...]:
        """The names of queues that have a handler, and no path to call it by."""
        return tuple(self._without_path)

    def serve(self, queue: str, path: str | None, endpoint: Endpoint) -> None:
        """Let the endpoint of a queue answer at `path`.

        Raises:
            ConfigurationError: another one does already.
        """
        if path is None:
            self._without_path.append(queue)
        elif self._endpoints.setdefault(path, endpoint) is not endpoint:
            raise ConfigurationError(f"{path} has a handler already")

    def execution(self, callback_url: str) -> Execution:
        """Return what `callback_url` leads to.

        Raises:
            ConfigurationError: it leads elsewhere than to our LambdaQueue.
        """
        return Execution(callback_url, api_url=self.settings.api_url(), transport=self.transport)

    def exchange(self, settings: Settings, transport: Transport | None) -> Taken:
        """Use these settings and what sends requests from now on; return those before.

        Without a transport one is made when it's needed. Nothing is closed.
        """
        with self._making:
            before = self.settings, self._transport
            self.settings, self._transport = settings, transport
            self._api = None  # It was made of what was there before.
        return before

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._transport is not None:
            self._transport.close()
