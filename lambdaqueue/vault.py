"""Secrets at rest: sealed with the operator's master keys, opened only where they are used.

Fernet (AES-128-CBC with HMAC-SHA256; https://github.com/fernet/spec) under `LQ_MASTER_KEYS`, the
newest first: it seals, all of them open. The place a secret belongs to is sealed with it, so that
nobody who can write to Redis can make one environment sign with another's secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from lambdaqueue.errors import ConfigurationError, SecretUnreadable
from lambdaqueue.signing import Secret

__all__ = ["Vault"]

CHECKED = "lambdaqueue"
"""What the check value is the seal of: whoever can open that has a right key."""

CHECK_PLACE = "check"

# Fernet itself passes over what is no base64, and over all that follows the padding.
MASTER_KEY = re.compile(r"[A-Za-z0-9+/_-]{43}=")


class Vault:
    """Seals and opens secrets. `place` is an environment's id, or a queue ref."""

    def __init__(self, master_keys: Sequence[str]) -> None:
        """Take the master keys, newest first.

        Raises:
            ConfigurationError: there is none, or one is no Fernet key; none is quoted.
        """
        if not master_keys:
            raise ConfigurationError(
                "LQ_MASTER_KEYS is required: secrets are stored sealed. Make a key with "
                "`lambdaqueue keys new` and keep it"
            )
        if not all(map(MASTER_KEY.fullmatch, master_keys)):
            raise ConfigurationError(
                "LQ_MASTER_KEYS must be Fernet keys, separated by commas, the newest first; "
                "`lambdaqueue keys new` makes one"
            )
        self._fernet = MultiFernet([Fernet(key) for key in master_keys])

    @staticmethod
    def new_key() -> str:
        """Make a new master key."""
        return Fernet.generate_key().decode()

    def seal(self, place: str, secret: Secret) -> bytes:
        """Return `secret` sealed for `place`."""
        return self._fernet.encrypt(f"{place}\n{secret.reveal()}".encode())

    def open(self, place: str, sealed: bytes) -> Secret:
        """Return what `seal` was given.

        Raises:
            SecretUnreadable: it was sealed with another key, or for another place.
        """
        return Secret.parse(self._opened(place, sealed))

    def renew(self, sealed: bytes) -> bytes:
        """Return the same secret for the same place, sealed with the newest key.

        Raises:
            SecretUnreadable: none of the keys opens it.
        """
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise _wrong_key() from None

    def check_value(self) -> bytes:
        """Return a value that tells later whether a key is right."""
        return self._fernet.encrypt(f"{CHECK_PLACE}\n{CHECKED}".encode())

    def has_sealed(self, check_value: bytes) -> bool:
        """Tell whether one of the keys made `check_value`."""
        try:
            return self._opened(CHECK_PLACE, check_value) == CHECKED
        except SecretUnreadable:
            return False

    def _opened(self, place: str, sealed: bytes) -> str:
        try:
            found, _, text = self._fernet.decrypt(sealed).decode().partition("\n")
        except InvalidToken:
            raise _wrong_key() from None
        if found != place:
            raise SecretUnreadable("a stored secret was moved here from another place")
        return text


def _wrong_key() -> SecretUnreadable:
    return SecretUnreadable(
        "a stored secret was sealed with another master key: LQ_MASTER_KEYS lacks it"
    )
