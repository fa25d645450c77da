"""How many pages a process keeps fresh at once: in all, of one account, of one session."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from flask import Flask

from lambdaqueue.account import Session

__all__ = ["MOST", "MOST_OF_ACCOUNT", "MOST_OF_SESSION", "Streams", "Watcher"]

MOST = 100

MOST_OF_ACCOUNT = 20
"""So that it takes five accounts to leave none for others."""

MOST_OF_SESSION = 5
"""By HTTP/1.1 a browser has six connections to a host: one is left to load pages by. Only pages
that are seen ask for a stream."""

EXTENSION = "lambdaqueue.streams"


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who watches a page: an account by its id, in a session by its digest."""

    account: str
    session: str

    @classmethod
    def of(cls, session: Session) -> Watcher:
        """Return whom a session stands for."""
        return cls(session.account.id, session.digest)


class Streams:
    """Counts the streams of a process; a page beyond a share stays as it was loaded."""

    def __init__(self) -> None:
        self._open: Counter[tuple[str, ...]] = Counter()

    @classmethod
    def of(cls, app: Flask) -> Streams:
        """Return those of an app."""
        found = app.extensions.setdefault(EXTENSION, cls())
        assert isinstance(found, cls)
        return found

    @property
    def open(self) -> int:
        """How many there are."""
        return self._open[()]

    def take(self, watcher: Watcher) -> bool:
        """Take a place; False if there is none left, for that watcher or at all."""
        shares = _shares(watcher)
        if any(self._open[name] >= most for name, most in shares.items()):
            return False
        self._open.update(shares.keys())
        return True

    def give_back(self, watcher: Watcher) -> None:
        """Give back a place that was taken."""
        self._open.subtract(_shares(watcher).keys())
        self._open = +self._open  # without those at zero: sessions come and go


def _shares(watcher: Watcher) -> dict[tuple[str, ...], int]:
    return {
        (): MOST,
        (watcher.account,): MOST_OF_ACCOUNT,
        (watcher.account, watcher.session): MOST_OF_SESSION,
    }
