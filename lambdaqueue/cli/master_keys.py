"""The master keys: LQ_MASTER_KEYS, else those that `lambdaqueue up` keeps in its data folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lambdaqueue.cli.private_files import read_private, remove_private, write_private
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.vault import Vault

__all__ = ["MasterKeys"]

VARIABLE = "LQ_MASTER_KEYS"
FILE = "master_keys"

HEAD = """\
# Made by `lambdaqueue up`: what signature secrets are sealed with. Without it they can't be read
# any more, so keep a copy elsewhere. To change it, write a new one above the old (`lambdaqueue
# keys new` makes one), start `up` again, call `lambdaqueue keys rotate`, take the old one out.
"""


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """Master keys, the newest first. `file` is where they are kept, None for the variable's.

    `made`: they were made just now, because there was no file.
    """

    words: tuple[str, ...] = field(repr=False)
    file: Path | None = None
    made: bool = False

    @classmethod
    def find(cls, directory: Path, env: Mapping[str, str]) -> MasterKeys | None:
        """Return those of `env`, else those kept in `directory`, else None.

        Raises:
            ConfigurationError: the file can't be read, or they are no master keys.
        """
        given = _words(env.get(VARIABLE, ""))
        if given:
            Vault(given)
            return cls(given)
        path = directory / FILE
        text = read_private(path)
        return None if text is None else cls(_kept(path, text), path)

    @classmethod
    def keep(cls, directory: Path, env: Mapping[str, str]) -> MasterKeys:
        """Return those of `find`, else a new one; that is kept in `directory`.

        Raises:
            ConfigurationError: the file can't be used, or they are no master keys.
        """
        found = cls.find(directory, env)
        if found is not None:
            return found
        path, key = directory / FILE, Vault.new_key()
        if write_private(path, f"{HEAD}{key}\n", replace=False):
            return cls((key,), path, made=True)
        return cls(_kept(path, read_private(path) or ""), path)

    @property
    def source(self) -> str:
        """Where they come from, for messages."""
        return str(self.file) if self.file else VARIABLE

    def env(self) -> dict[str, str]:
        """Return them as the server's environment variable."""
        return {VARIABLE: ",".join(self.words)}

    def refuse(self) -> ConfigurationError:
        """Return the error for a database that was sealed with other keys.

        A file that was made just now goes again: whoever has a copy of the right one must not
        find a wrong one in its place.
        """
        why = f"{self.source} has not the master key that this database's secrets were sealed with"
        if self.made and self.file is not None:
            remove_private(self.file)
            why = f"{self.file} is missing: it has the key that this database's secrets need"
        if self.file is None:
            return ConfigurationError(f"{why}. Set it as the server has it")
        return ConfigurationError(
            f"{why}. Put back the file from a copy, or set {VARIABLE} to what the server had; "
            "if the key is lost, begin again with an empty database (another --data or REDIS_URL)"
        )


def _kept(path: Path, text: str) -> tuple[str, ...]:
    words = _words("\n".join(line for line in text.splitlines() if not line.startswith("#")))
    try:
        Vault(words)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{path} must hold master keys, one in a line, the newest first. Put it back from a "
            f"copy, or set {VARIABLE} to what the server had"
        ) from error
    return words


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,\s]+", text) if word)
