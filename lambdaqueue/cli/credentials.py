"""The development token and secret: made once, kept in a file that only its owner can read."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lambdaqueue.errors import ConfigurationError
from lambdaqueue.signing import Secret

__all__ = ["DATA", "Credentials"]

DATA = Path(".lambdaqueue")
"""Where `up` keeps its data unless told otherwise, and where clients look for a token."""

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
        kept = _read(directory / FILE)
        found = cls(
            token=env.get(TOKEN) or kept.get(TOKEN) or _new_token(),
            secret=env.get(SECRET) or kept.get(SECRET) or Secret.generate().reveal(),
        )
        Secret.parse(found.secret)
        if kept != found.env():
            _write(directory / FILE, found.env())
        return found

    @classmethod
    def find(cls, directory: Path = DATA) -> Credentials | None:
        """Return those kept in `directory`, or None when `up` has not run there."""
        kept = _read(directory / FILE)
        if TOKEN not in kept or SECRET not in kept:
            return None
        return cls(kept[TOKEN], kept[SECRET])

    def env(self) -> dict[str, str]:
        """Return them as the server's environment variables."""
        return {TOKEN: self.token, SECRET: self.secret}


def _new_token() -> str:
    """Make a token `lqk_<8>_<43>`: 48 bits to name it, 256 to keep it secret."""
    return f"lqk_{secrets.token_urlsafe(6)}_{secrets.token_urlsafe(32)}"


def _read(path: Path) -> dict[str, str]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from error
    return dict(re.findall(r"^(\w+)=(\S+)$", text, re.MULTILINE))


def _write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file at once, never readable for others, not even for a moment."""
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(HEAD + "".join(f"{name}={value}\n" for name, value in values.items()))
        new.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error}") from error
