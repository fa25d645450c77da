"""Who asks: tokens and what they allow, and whom the audit names.

A token is `lqk_<id>_<secret>`: 48 random bits that name it, 256 that prove it. It is shown once;
only its SHA-256 is stored, which needs no salt because nobody can guess 256 random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["ALL_SCOPES", "Actor", "Author", "Identity", "Scope", "Token", "TokenInfo", "named"]

TOKEN = re.compile(r"lqk_([A-Za-z0-9_-]{8})_[A-Za-z0-9_-]{43}")
TOKEN_ID = re.compile(r"[A-Za-z0-9_-]{8}")


class Scope(StrEnum):
    """What a token allows."""

    PUSH = "push"
    READ = "read"
    MANAGE = "manage"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its holder has it. Made by `parse` and `generate`."""

    id: str
    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Token | None:
        """Read a token; None when it has not the form of one."""
        found = TOKEN.fullmatch(text)
        return cls(found[1], text) if found else None

    @classmethod
    def generate(cls) -> Token:
        """Make a new one."""
        token_id = secrets.token_urlsafe(6)
        return cls(token_id, f"lqk_{token_id}_{secrets.token_urlsafe(32)}")

    @property
    def digest(self) -> str:
        """What is stored of it: the SHA-256 of the whole token, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @staticmethod
    def is_id(text: str) -> bool:
        """Tell whether `text` could be the id of a token."""
        return TOKEN_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What is known of a token. Times are Unix ms; `last_used` is kept to the minute."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created: int
    expires: int | None = None
    last_used: int | None = None
    digest: str = field(default="", repr=False)

    def pack(self) -> str:
        """Return the stored form."""
        stored = {
            "name": self.name,
            "scopes": sorted(self.scopes),
            "created": self.created,
            "digest": self.digest,
        }
        if self.expires is not None:
            stored["expires"] = self.expires
        return json.dumps(stored, separators=(",", ":"))

    @classmethod
    def unpack(cls, token_id: str, stored: bytes, last_used: int | None = None) -> TokenInfo:
        """Rebuild what `pack` wrote; a scope that only newer code knows allows nothing here."""
        values = json.loads(stored)
        return cls(
            id=token_id,
            name=values["name"],
            scopes=frozenset(scope for scope in Scope if scope in values["scopes"]),
            created=values["created"],
            expires=values.get("expires"),
            last_used=last_used,
            digest=values["digest"],
        )

    def is_of(self, token: Token) -> bool:
        """Tell whether `token` is this one, in constant time."""
        return hmac.compare_digest(self.digest.encode(), token.digest.encode())

    def has_expired(self, now: int) -> bool:
        """Tell whether it is of no use at `now` (Unix ms)."""
        return self.expires is not None and now >= self.expires


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something in an environment, as the audit names it.

    `name` is a token's, or says that it was the command; `address` is where the request came
    from, "" for the command.
    """

    environment: str
    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes an account, as the audits name it: like an `Actor`, but in no environment."""

    name: str
    address: str = ""


def named(by: Actor | None) -> tuple[str, str]:
    """Return name and address as scripts take them; both are "" where the audit names nobody."""
    return (by.name, by.address) if by else ("", "")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token stands for: an environment, and what may be done in it."""

    environment: str
    scopes: frozenset[Scope]
    token_id: str
    token_name: str
