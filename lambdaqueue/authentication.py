"""From a token to whom it stands for, on every request: one read of Redis, or none."""

from __future__ import annotations

import ipaddress
import re
import time
from contextlib import suppress
from dataclasses import dataclass

from lambdaqueue.connection import Redis
from lambdaqueue.errors import StorageFull, TooManyRefusals
from lambdaqueue.identity import Identity, Token
from lambdaqueue.tokens import REFUSALS_WINDOW, Found, TokenStore

__all__ = ["KEPT", "MOST_REFUSALS", "Authentication", "site_of"]

KEPT = 0.5
"""Seconds for which an answer is used again: so long a token may outlive its revocation."""

MOST_KEPT = 10_000

MOST_REFUSALS = 100
"""Bad tokens from one address within `REFUSALS_WINDOW`; further ones get 429 for its rest."""

WITH_PORT = re.compile(r"([0-9.]+):[0-9]+")

IPV6_SITE = 64
"""Bits of an IPv6 address that name whom it was given to; the rest he chooses himself."""


@dataclass(frozen=True, slots=True)
class _Kept:
    identity: Identity
    until: float


class Authentication:
    """Knows tokens, and addresses that guess at them. One for a process."""

    def __init__(self, client: Redis, now: int | None = None) -> None:
        self._store = TokenStore(client, now)
        self._kept: dict[str, _Kept] = {}
        self._limited: dict[str, float] = {}

    def authenticate(self, text: str | None, address: str) -> Identity | None:
        """Return whom a token stands for, or None: missing, malformed, unknown, expired, revoked.

        `address` is where the request came from. A good token is never refused because of bad
        ones from the same address.

        Raises:
            TooManyRefusals: the token is bad, and so were too many others from there.
            StorageUnavailable, StorageFull
        """
        token = Token.parse(text) if text else None
        identity = self._identify(token) if token else None
        if identity is None:
            self._refuse(site_of(address))
        return identity

    def _identify(self, token: Token) -> Identity | None:
        kept = self._kept.get(token.text)
        if kept is not None and time.monotonic() < kept.until:
            return kept.identity
        found = self._store.find(token.id)
        if found is None or not found.info.is_of(token) or found.info.has_expired(found.now):
            self._kept.pop(token.text, None)
            return None
        # A Redis that can't save takes no write at all: what only reads goes on.
        with suppress(StorageFull):
            self._store.note_use(found)
        return self._keep(token, found)

    def _keep(self, token: Token, found: Found) -> Identity:
        info = found.info
        identity = Identity(found.environment, info.scopes, info.id, info.name)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[token.text] = _Kept(identity, time.monotonic() + KEPT)
        return identity

    def _refuse(self, site: str) -> None:
        """Count a bad token; raises TooManyRefusals when there were too many."""
        now = time.monotonic()
        until = self._limited.get(site, 0.0)
        if until <= now:
            count, left = self._store.refuse(site)
            if count <= MOST_REFUSALS:
                return
            if len(self._limited) >= MOST_KEPT:
                self._limited.clear()
            until = self._limited[site] = now + max(left, 1)
        raise TooManyRefusals(MOST_REFUSALS, REFUSALS_WINDOW, max(1, round(until - now)))


def site_of(address: str) -> str:
    """Return whom an address stands for: itself, of IPv6 the network that one customer has."""
    try:
        # Some proxies tell the port, too.
        found = WITH_PORT.fullmatch(address)
        parsed = ipaddress.ip_address(found[1] if found else address)
    except ValueError:  # a Unix socket has none
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_SITE), strict=False).network_address)
