"""People who use the panel: their accounts, what each may do where, and their sessions."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lambdaqueue.errors import InvalidRequest

__all__ = [
    "EVERYWHERE",
    "Account",
    "Role",
    "Session",
    "account_name",
    "digest",
    "new_secret",
]

EVERYWHERE = "*"
"""In the place of an environment's id: in all of them, those that are yet to be made included."""

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


class Role(StrEnum):
    """What an account may do in an environment: look, or change."""

    VIEWER = "viewer"
    ADMIN = "admin"

    def includes(self, needed: Role) -> bool:
        """Tell whether whoever has this role may do what takes the role `needed`."""
        return self is Role.ADMIN or needed is Role.VIEWER


@dataclass(frozen=True, slots=True)
class Account:
    """An account. `roles` are by environment id, or `EVERYWHERE`; times are Unix ms."""

    id: str
    name: str
    roles: Mapping[str, Role]
    created: int
    last_sign_in: int | None = None

    def role_in(self, environment: str) -> Role | None:
        """Return what it may do in an environment, None if that is none of its business."""
        held = {self.roles.get(environment), self.roles.get(EVERYWHERE)}
        return next((role for role in (Role.ADMIN, Role.VIEWER) if role in held), None)

    @property
    def everywhere(self) -> Role | None:
        """What it may do in every environment, and where no environment is meant."""
        return self.roles.get(EVERYWHERE)


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in that is still good. Times are Unix ms.

    `csrf` is in every form of it. `proved` is when its password was given last, `now` when it was
    read.
    """

    digest: str
    account: Account
    csrf: str = field(repr=False)
    created: int
    proved: int
    now: int


def account_name(text: str) -> str:
    """Return the name of an account as it's stored: in small letters.

    Raises:
        InvalidRequest: for the field `name`.
    """
    name = text.strip().lower()
    if NAME.fullmatch(name) is None:
        rule = "must be 1 to 64 of a-z 0-9 . _ @ + - and begin with a letter or a digit"
        raise InvalidRequest.of("name", "pattern", rule)
    return name


def new_secret() -> str:
    """Make what proves a session or a link: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Return what is stored of such a secret. It's random, so it needs no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()
