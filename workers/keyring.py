"""The secrets that sign, opened once for as long as they're in use."""

from __future__ import annotations

from lambdaqueue.signing import Secret
from lambdaqueue.vault import Vault

__all__ = ["Keyring"]

MOST_OPEN = 10_000
"""Sets of secrets that are kept open: one for each environment, and for each queue with its own."""


class Keyring:
    """Opens sealed secrets; the same ones again cost a look into a dictionary."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._open: dict[tuple[str, tuple[bytes, ...]], tuple[Secret, ...]] = {}

    def secrets(self, place: str, sealed: tuple[bytes, ...]) -> tuple[Secret, ...]:
        """Return the secrets `sealed` for `place`, an environment or a queue ref.

        Raises:
            SecretUnreadable: see `Vault.open`.
        """
        known = self._open.get((place, sealed))
        if known is not None:
            return known
        secrets = tuple(self._vault.open(place, each) for each in sealed)
        if len(self._open) >= MOST_OPEN:
            self._open.clear()
        self._open[place, sealed] = secrets
        return secrets

    def new(self, place: str) -> bytes:
        """Make a secret and return it sealed."""
        return self._vault.seal(place, Secret.generate())
