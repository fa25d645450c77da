"""What a web process does with the database once, before anybody is answered from it."""

from __future__ import annotations

import logging

from lambdaqueue.administration import Administration
from lambdaqueue.errors import StorageUnavailable

__all__ = ["Start"]

log = logging.getLogger("lambdaqueue.api")


class Start:
    """Checks the master key and makes the first environment, as soon as Redis is there."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._done = False

    def begin(self) -> None:
        """Do it now; where Redis is away, the first request that finds it there goes on.

        Raises:
            ConfigurationError: the master key is a wrong one.
        """
        try:
            self.complete()
        except StorageUnavailable as error:
            log.warning("%s: requests are refused until it is back", error)

    def complete(self) -> None:
        """Do it unless it's done; costs nothing from then on.

        Raises:
            ConfigurationError: the master key is a wrong one.
            StorageUnavailable
        """
        if self._done:
            return
        self._administration.prepare()
        self._done = True
