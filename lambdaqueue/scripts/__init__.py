"""Loads the Lua scripts: one file for each transition, its contract at its head.

A line `-- include: a b c` at the top names the shared pieces that a script is made of; they are
put before it once, at load. Scripts are called by their SHA, and sent whole to a server that
doesn't know them (yet, or since SCRIPT FLUSH).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["Script", "load"]

INCLUDE = re.compile(r"^-- include: ([a-z_ ]+)\n")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it's sent: its name, its whole text and the SHA-1 that Redis knows it by."""

    name: str
    text: str
    sha: str


@cache
def load() -> Mapping[str, Script]:
    """Return every script by its name. Read once for a process."""
    folder = resources.files(__name__)
    shared = {
        file.name.removesuffix(".lua"): file.read_text("utf-8")
        for file in folder.joinpath("shared").iterdir()
        if file.name.endswith(".lua")
    }
    return {
        name: _assemble(name, file.read_text("utf-8"), shared)
        for file in folder.iterdir()
        if (name := file.name.removesuffix(".lua")) != file.name
    }


def _assemble(name: str, text: str, shared: Mapping[str, str]) -> Script:
    match = INCLUDE.match(text)
    pieces = [shared[piece] for piece in match.group(1).split()] if match else []
    whole = "\n".join([*pieces, text])
    return Script(name, whole, hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest())
