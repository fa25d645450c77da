"""The development token and secret: made once, kept in a file that only its owner can read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lambdaqueue.cli.private_files import read_private, write_private
from lambdaqueue.identity import Token
from lambdaqueue.signing import Secret

__all__ = ["DATA", "Credentials"]

DATA = Path(".lambdaqueue")
"""Where `up` keeps its data unless told otherwise, and where the other commands look for it."""

FILE = "credentials"
TOKEN = "LQ_BOOTSTRAP_TOKEN"
SECRET = "LQ_BOOTSTRAP_SECRET"

HEAD = "# Made by `lambdaqueue up`. For this machine: keep it out of version control.\n"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token with all scopes and the environment's signature secret."""

    token: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def keep(cls, directory: Path, env: Mapping[str, str]) -> Credentials:
        """Return those of `env`, else those kept in `directory`, else new ones; keep them there.

        Raises:
            ConfigurationError: a file or a value can't be used.
        """
        kept = _read(directory)
        found = cls(
            token=env.get(TOKEN) or kept.get(TOKEN) or Token.generate().text,
            secret=env.get(SECRET) or kept.get(SECRET) or Secret.generate().reveal(),
        )
        Secret.parse(found.secret)
        found.save(directory)
        return found

    @classmethod
    def find(cls, directory: Path = DATA) -> Credentials | None:
        """Return those kept in `directory`, or None when `up` has not run there."""
        kept = _read(directory)
        if TOKEN not in kept or SECRET not in kept:
            return None
        return cls(kept[TOKEN], kept[SECRET])

    def save(self, directory: Path) -> None:
        """Keep them in `directory`.

        Raises:
            ConfigurationError: the file can't be written.
        """
        if _read(directory) != self.env():
            lines = (f"{name}={value}\n" for name, value in self.env().items())
            write_private(directory / FILE, HEAD + "".join(lines))

    def env(self) -> dict[str, str]:
        """Return them as the server's environment variables."""
        return {TOKEN: self.token, SECRET: self.secret}


def _read(directory: Path) -> dict[str, str]:
    text = read_private(directory / FILE) or ""
    return dict(re.findall(r"^(\w+)=(\S+)$", text, re.MULTILINE))
