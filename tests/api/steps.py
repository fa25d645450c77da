"""What a request changes, step by step, and what each step writes into the audit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from flask import Flask

from lambdaqueue import keys
from lambdaqueue.connection import Scripts
from tests.api.conftest import parts_of
from tests.store.snapshot import reader, take

__all__ = ["Step", "Told", "idle", "silent", "told", "watched"]

Told = tuple[str, str]
"""An entry's action and object."""

PASSING = re.compile(
    r"lq:(session|sign_in|refused|request):|lq:(first_link|instance|writable|named|fresh)$"
    r"|lq:\w+:(audit|token_uses)$"
)
"""Keys that tell of a look as well, or pass by themselves; and the audit."""

State = dict[str, object]


@dataclass(frozen=True)
class Step:
    """A script, or what was written beside all scripts: the keys it changed, and its entries."""

    name: str
    changed: frozenset[str]
    told: tuple[Told, ...]


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, app: Flask, environment: str) -> Iterator[list[Step]]:
    """Yield a list that gets those steps which change something, or tell of it."""
    steps: list[Step] = []
    run, client = Scripts.run, reader(parts_of(app).client)
    before = _state(client), _entries(client, environment)

    def look(name: str) -> None:
        nonlocal before
        after = _state(client), _entries(client, environment)
        (old, told_before), (new, told_now) = before, after
        changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        if changed or told_now != told_before:
            fresh = told_now[len(told_before) :]
            steps.append(Step(name, frozenset(changed), tuple(fresh)))
        before = after

    def looking(self: Scripts, name: str, *args: Any) -> Any:
        look(f"before {name}")
        try:
            return run(self, name, *args)
        finally:
            look(name)

    with monkeypatch.context() as patched:
        patched.setattr(Scripts, "run", looking)
        yield steps
    look("at the end")
    client.close()


def told(steps: list[Step]) -> list[Told]:
    """Return the entries of all steps."""
    return [each for step in steps for each in step.told]


def silent(steps: list[Step]) -> list[Step]:
    """Return the steps that change something and have no entry."""
    return [step for step in steps if step.changed and not step.told]


def idle(steps: list[Step]) -> set[str]:
    """Return the actions of entries of steps that change nothing."""
    return {action for step in steps if not step.changed for action, _ in step.told}


def _state(client: redis.Redis) -> State:
    found = take(client)
    every = found.strings | found.hashes | found.lists | found.sets | found.zsets | found.streams
    return {name: value for name, value in every.items() if not PASSING.match(name)}


def _entries(client: redis.Redis, environment: str) -> list[Told]:
    rows: Any = client.xrange(keys.audit(environment))
    return [(row["action"], row["object"]) for _, row in rows]
