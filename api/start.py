"""What a web process does with the database once, before anybody is answered from it."""

from __future__ import annotations

from lambdaqueue.administration import Administration
from lambdaqueue.errors import StorageFull, StorageUnavailable
from lambdaqueue.logs import Log
from lambdaqueue.signing_in import first_link

__all__ = ["Start"]

log = Log("lambdaqueue.api")

FIRST_ACCOUNT = "the panel has no account yet; this link makes the first one, within a day"


class Start:
    """Checks the master key and makes the first environment, as soon as Redis is there.

    While the panel has no account, one process of those that start tells how to make the first.
    """

    def __init__(self, administration: Administration, public_url: str) -> None:
        self._administration = administration
        self._public_url = public_url
        self._done = False

    def begin(self) -> None:
        """Do it now; where Redis is away, the first request that finds it there goes on.

        Raises:
            ConfigurationError: the master key is a wrong one.
        """
        try:
            self.complete()
        except StorageUnavailable as error:
            log.warning("storage_unavailable", reason=error, then="requests are refused")

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
        self._offer_account()

    def _offer_account(self) -> None:
        try:
            secret = self._administration.signing_in().offer()
        except StorageFull as error:  # what has room to be done goes on
            log.warning("storage_unavailable", reason=error, then="no link to a first account")
            return
        if secret is not None:
            link = first_link(self._public_url, secret)
            log.warning("first_account", hint=FIRST_ACCOUNT, link=link)
