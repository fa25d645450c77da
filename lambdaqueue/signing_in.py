"""The use cases of people's accounts: signing in and out, passwords, the first account, roles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from lambdaqueue import passwords
from lambdaqueue.account import EVERYWHERE, Account, Role, Session, account_name, digest, new_secret
from lambdaqueue.accounts import FREE, FREE_OF_STRANGERS, AccountStore, Known
from lambdaqueue.authentication import site_of
from lambdaqueue.connection import Redis
from lambdaqueue.errors import InvalidRequest, NotFound, TooManyRequests
from lambdaqueue.identity import Author

__all__ = ["STRANGERS", "SigningIn", "Slowly", "at_once", "first_link"]

T = TypeVar("T")

WINDOW = 3_600
"""Seconds after which attempts to sign in are forgotten."""

STRANGERS = "strangers"
"""The policy of the limit on guesses at one name from addresses that it isn't known at."""

NO_LINK = "this link is used up or too old"


def first_link(public_url: str, secret: str) -> str:
    """Return the address at which a secret makes the first account."""
    return f"{public_url}/admin/first?link={secret}"


class Slowly(Protocol):
    """Calls a slow function where it holds nobody up, and returns what it returns."""

    def __call__(self, function: Callable[[], T]) -> T:
        """Call `function`."""


def at_once(function: Callable[[], T]) -> T:
    """Call a slow function here and now: for a process that does nothing else."""
    return function()


class SigningIn:
    """Knows accounts and sessions. `slowly` is where passwords are computed.

    A session or a link is proved by a secret of 256 random bits, of which only the hash is stored.
    `now` (Unix ms) is for tests.
    """

    def __init__(self, client: Redis, slowly: Slowly = at_once, now: int | None = None) -> None:
        self._store = AccountStore(client, now)
        self._slowly = slowly

    # Sessions

    def session(self, secret: str, *, touch: bool = True) -> Session | None:
        """Return the session that a cookie proves; None when it's none, or has ended."""
        return self._store.session(digest(secret), touch=touch)

    def sign_in(self, name: str, password: str, address: str) -> str | None:
        """Begin a session, return what proves it; None when name or password is wrong.

        It takes the same time and says the same whether there is such an account or not.

        Raises:
            InvalidRequest: the password is longer than any.
            TooManyRequests: there were too many attempts from there; of the policy `strangers`, at
                that name, from everywhere that it isn't known.
        """
        passwords.check_length(password)
        name, site = name.strip().lower(), site_of(address)
        self._admit(name, site)
        pause = self._store.admit_stranger(name, site)
        if pause:
            raise TooManyRequests(STRANGERS, FREE_OF_STRANGERS, WINDOW, math.ceil(pause / 1_000))
        known = self._store.known(name)
        stored = known.password if known else passwords.NOBODYS
        right = self._slowly(lambda: passwords.matches(password, stored))
        if known is None or not right:
            return None
        return self._open(known, address)

    def sign_out(self, session: Session, address: str) -> None:
        """End a session."""
        self._store.close(session, address)

    def sign_out_everywhere(self, session: Session, address: str) -> None:
        """End all sessions of the session's account."""
        self._store.end_sessions(Author(session.account.name, address), session.account.id)

    def prove(self, session: Session, password: str, address: str) -> bool:
        """Tell whether it's the account's password, and keep that it was given just now.

        Raises:
            InvalidRequest, TooManyRequests: as in `sign_in`.
        """
        passwords.check_length(password)
        site = site_of(address)
        self._admit(session.account.name, site)
        known = self._store.known_by_id(session.account.id)
        if known is None:
            return False
        right = self._slowly(lambda: passwords.matches(password, known.password))
        if right:
            self._store.prove(session, site)
        return right

    def change_password(self, session: Session, password: str, address: str) -> str:
        """Give one's account another password; all sessions end, and the one returned begins.

        Raises:
            InvalidRequest: that can't be a password; for the field `new`.
            NotFound: the account is gone.
        """
        stored = self._hashed(password, "new")
        account = session.account
        self._store.change_password(Author(account.name, address), account.id, stored)
        return self._open(Known(account, stored), address)

    # The first account

    def offer(self, *, again: bool = False) -> str | None:
        """Return the secret of a link to the first account; None if there is no need of one.

        There is one link at a time, good for a day. `again`: it takes the place of that before.
        """
        secret = new_secret()
        return secret if self._store.offer(digest(secret), again=again) else None

    def is_first(self, secret: str) -> bool:
        """Tell whether a link still makes the first account."""
        return self._store.is_offered(digest(secret))

    def create_first(self, secret: str, name: str, password: str, address: str) -> str:
        """Make the first account, which may do everything, and begin a session of it.

        Raises:
            NotFound: the link is of no use (any more).
            InvalidRequest: name or password can't be one.
        """
        if not self.is_first(secret):
            raise NotFound(NO_LINK)
        name = account_name(name)
        stored = self._hashed(password, "password")
        roles = {EVERYWHERE: Role.ADMIN}
        link = digest(secret)
        if self._store.make(Author(name, address), name, stored, roles, link=link) is None:
            raise NotFound(NO_LINK)
        known = self._store.known(name)
        if known is None:
            raise NotFound("the account has just been removed")
        return self._open(known, address)

    # What the command does

    def accounts(self) -> list[Account]:
        """Return all accounts by name."""
        return self._store.all()

    def account(self, name: str) -> Account:
        """Return the account that is called `name`; raises NotFound."""
        known = self._store.known(name.strip().lower())
        if known is None:
            raise NotFound(f"there is no account {name}")
        return known.account

    def create(self, author: Author, name: str, password: str, roles: Mapping[str, Role]) -> None:
        """Make an account; `roles` by environment id, or `EVERYWHERE`.

        Raises:
            InvalidRequest: name or password can't be one. Conflict: there is one of that name.
        """
        name = account_name(name)
        self._store.make(author, name, self._hashed(password, "password"), roles)

    def set_password(self, author: Author, name: str, password: str) -> None:
        """Give an account another password and end its sessions.

        Raises:
            NotFound, InvalidRequest
        """
        account = self.account(name)
        self._store.change_password(author, account.id, self._hashed(password, "password"))

    def set_role(self, author: Author, name: str, place: str, role: Role | None) -> None:
        """Give an account a role in an environment or everywhere, or take it; raises NotFound."""
        self._store.set_role(author, self.account(name).id, place, role)

    def remove(self, author: Author, name: str) -> None:
        """Remove an account; its sessions are of no use at once. Raises NotFound."""
        self._store.drop(author, self.account(name).id)

    def _admit(self, name: str, site: str) -> None:
        pause = self._store.admit(name, site)
        if pause:
            raise TooManyRequests("sign_in", FREE, WINDOW, math.ceil(pause / 1_000))

    def _hashed(self, password: str, field: str) -> str:
        try:
            passwords.check_new(password)
        except InvalidRequest as error:
            issue = error.issues[0]
            raise InvalidRequest.of(field, issue.code, issue.message) from None
        return self._slowly(lambda: passwords.hashed(password))

    def _open(self, known: Known, address: str) -> str:
        secret = new_secret()
        where = (address, site_of(address))
        if not self._store.open(known, digest(secret), new_secret(), where):
            raise NotFound("the account has changed meanwhile; sign in again")
        return secret
