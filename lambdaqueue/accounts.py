"""Accounts and their sessions as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import redis

from lambdaqueue import ids, keys
from lambdaqueue.account import Account, Role, Session
from lambdaqueue.connection import scripts_of, translated
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.identity import Author
from lambdaqueue.store import request_id

__all__ = ["ABSOLUTE", "IDLE", "LINK_LIFE", "AccountStore", "Known"]

IDLE = 3_600_000
ABSOLUTE = 43_200_000
"""ms after which a session ends: without use, and in any case."""

LINK_LIFE = 86_400
"""Seconds for which the link to the first account is good."""

FREE = 5
FREE_OF_ADDRESS = 30
"""Attempts to sign in without a pause: for one name from one address, for all from there."""

FREE_OF_STRANGERS = 100
"""Attempts in an hour for one name, from all addresses together that its account hasn't signed in
from: so many guesses at a password, however many addresses somebody has."""

FIRST_PAUSE = 1_000
LONGEST_PAUSE = 900_000
"""ms; each attempt beyond those doubles it."""

ROLE = "role:"
NOBODY = "there is no such account"


@dataclass(frozen=True, slots=True)
class Known:
    """An account with what is kept of its password."""

    account: Account
    password: str = field(repr=False)


class AccountStore:
    """One method for each script or read. `now` (Unix ms) replaces Redis' clock."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self._scripts = scripts_of(client)
        self.now = now

    # Accounts

    def make(
        self, author: Author, name: str, password: str, roles: Mapping[str, Role], *, link: str = ""
    ) -> str | None:
        """Make an account, return its id; with the hash of a `link` only as the first one.

        None where the link is of no use any more.

        Raises:
            Conflict: there is one of that name.
        """
        account_id = ids.at_random()
        row = self._run(
            "make_account", [keys.request(request_id())],
            account_id, name, password, link, author.name, author.address,
            *(part for pair in roles.items() for part in pair),
        )  # fmt: skip
        if row[0] == b"taken":
            raise Conflict(f"there is an account {name} already")
        return account_id if row[0] == b"made" else None

    def known(self, name: str) -> Known | None:
        """Return the account that is called `name`."""
        with translated():
            account_id: Any = self._client.hget(keys.accounts, name)
        return None if account_id is None else self.known_by_id(account_id.decode())

    def known_by_id(self, account_id: str) -> Known | None:
        """Return the account with an id."""
        with translated():
            fields: Any = self._client.hgetall(keys.account(account_id))
        return _known(account_id, fields) if fields else None

    def all(self) -> list[Account]:
        """Return all accounts by name."""
        with translated():
            names: Any = self._client.hgetall(keys.accounts)
            account_ids = [account_id.decode() for _, account_id in sorted(names.items())]
            pipeline = self._client.pipeline(transaction=False)
            for account_id in account_ids:
                pipeline.hgetall(keys.account(account_id))
            found = zip(account_ids, pipeline.execute(), strict=True)
        return [_known(account_id, fields).account for account_id, fields in found if fields]

    def change_password(self, author: Author, account_id: str, password: str) -> None:
        """Keep another password and end the account's sessions; raises NotFound."""
        self._change(author, account_id, "account.password", password=password, ends=True)

    def set_role(self, author: Author, account_id: str, place: str, role: Role | None) -> None:
        """Give or take a role, in an environment or everywhere; raises NotFound."""
        self._change(author, account_id, "account.role", place=place, role=role or "")

    def end_sessions(self, author: Author, account_id: str) -> None:
        """End all of an account's sessions; raises NotFound."""
        self._change(author, account_id, "account.sign_out_everywhere", ends=True)

    def drop(self, author: Author, account_id: str) -> None:
        """Remove an account; raises NotFound."""
        row = self._run(
            "drop_account", [keys.request(request_id())], account_id, author.name, author.address
        )
        if row[0] == b"absent":
            raise NotFound(NOBODY)

    # The link to the first account

    def offer(self, link: str, *, again: bool) -> bool:
        """Keep the hash of a link to the first account; False if there is one, or an account.

        `again`: it takes the place of one that was made before.
        """
        row = self._scripts.run("offer_account", [], link, LINK_LIFE, int(again))
        return bool(row[0] == b"offered")

    def is_offered(self, link: str) -> bool:
        """Tell whether the link with this hash makes the first account."""
        with translated():
            return bool(self._client.get(keys.first_link) == link.encode())

    # Sessions

    def admit(self, name: str, site: str) -> int:
        """Count an attempt to sign in; returns for how many ms there must be none, 0 for go on."""
        row = self._run(
            "admit_sign_in", [keys.sign_in(name, site), keys.sign_in(site)],
            FREE, FREE_OF_ADDRESS, FIRST_PAUSE, LONGEST_PAUSE,
        )  # fmt: skip
        return int(row[1])

    def admit_stranger(self, name: str, site: str) -> int:
        """Count an attempt that `admit` lets go on, if the account isn't known at `site`.

        Returns for how many ms there must be none, 0 for go on.
        """
        row = self._run("admit_stranger", [keys.guesses(name)], name, site, FREE_OF_STRANGERS)
        return int(row[1])

    def open(self, known: Known, session: str, csrf: str, where: tuple[str, str]) -> bool:
        """Begin a session; False if the account or its password has changed meanwhile.

        `where` is the address it comes from, and the site that this stands for.
        """
        address, site = where
        name = known.account.name
        row = self._run(
            "open_session",
            [
                keys.request(request_id()),
                keys.session(session),
                keys.sign_in(name, site),
                keys.sign_in(site),
                keys.guesses(name),
            ],
            known.account.id, csrf, IDLE, address, known.password, site,
        )  # fmt: skip
        return bool(row[0] == b"opened")

    def session(self, digest: str, *, touch: bool) -> Session | None:
        """Return a session that is still good; `touch`: this is use of it."""
        row = self._run("find_session", [keys.session(digest)], IDLE, ABSOLUTE, int(touch))
        if not row:
            return None
        now, csrf, created, proved, account_id, *fields = row
        stored = dict(zip(fields[::2], fields[1::2], strict=True))
        return Session(
            digest=digest,
            account=_known(account_id.decode(), stored).account,
            csrf=csrf.decode(),
            created=int(created),
            proved=int(proved),
            now=int(now),
        )

    def prove(self, session: Session, site: str) -> None:
        """Note that a session's password was given once more."""
        name = session.account.name
        self._run(
            "prove_session",
            [
                keys.request(request_id()),
                keys.session(session.digest),
                keys.sign_in(name, site),
                keys.sign_in(site),
            ],
        )

    def close(self, session: Session, address: str) -> None:
        """End a session."""
        self._run(
            "close_session", [keys.request(request_id()), keys.session(session.digest)],
            session.account.id, address,
        )  # fmt: skip

    def _change(
        self,
        author: Author,
        account_id: str,
        action: str,
        *,
        password: str = "",
        place: str = "",
        role: str = "",
        ends: bool = False,
    ) -> None:
        row = self._run(
            "change_account", [keys.request(request_id())],
            account_id, password, place, role, int(ends), author.name, author.address, action,
        )  # fmt: skip
        if row[0] == b"absent":
            raise NotFound(NOBODY)

    def _run(self, name: str, keys_: list[str], *args: Any) -> Any:
        return self._scripts.run(name, keys_, "" if self.now is None else self.now, *args)


def _known(account_id: str, stored: Mapping[bytes, bytes]) -> Known:
    fields = {name.decode(): value.decode() for name, value in stored.items()}
    # A role that only newer code knows allows nothing here.
    roles = {
        name.removeprefix(ROLE): Role(value)
        for name, value in fields.items()
        if name.startswith(ROLE) and value in set(Role)
    }
    last = fields.get("last_sign_in")
    account = Account(
        id=account_id,
        name=fields["name"],
        roles=roles,
        created=int(fields["created"]),
        last_sign_in=int(last) if last else None,
    )
    return Known(account, fields["password"])
