"""Scenarios that run side by side, because most of their time is waiting for something.

Each has a plant of its own and returns what happened, in words: a row of README.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.plant import Answer, Client, Plant
from tests.faults.redis_host import Host

__all__ = ["AT_ONCE", "Play", "Scenarios", "pushing"]

AT_ONCE = 3.0
"""Seconds for what is promised within two, on two busy cores."""

BESIDE = 4
"""Plants at work at the same time: more would only slow each other down."""

Play = Callable[[Plant], str]


class Scenarios:
    """The scenarios of one module, by name."""

    def __init__(self, *, append_only: bool = True) -> None:
        self.named: dict[str, Play] = {}
        self._hosts: dict[str, Host] = {}
        self._append_only = append_only

    def scenario(self, name: str, host: Host | None = None) -> Callable[[Play], Play]:
        """Add a function; its Redis runs on a `host` of its own, if one is given."""

        def add(play: Play) -> Play:
            self.named[name] = play
            if host is not None:
                self._hosts[name] = host
            return play

        return add

    @contextmanager
    def playing(
        self, request: pytest.FixtureRequest, folder: Path
    ) -> Iterator[dict[str, Future[str]]]:
        """Begin those scenarios that this run was asked for; wait for all at the end."""
        asked = {
            item.callspec.params["name"]
            for item in request.session.items
            if isinstance(item, pytest.Function) and item.module is request.module
            if hasattr(item, "callspec") and "name" in item.callspec.params
        }
        with ThreadPoolExecutor(BESIDE) as pool:
            yield {
                name: pool.submit(self._play, name, folder / str(number))
                for number, name in enumerate(self.named)
                if name in asked
            }

    def _play(self, name: str, folder: Path) -> str:
        folder.mkdir()
        program = self._hosts[name](folder) if name in self._hosts else None
        with Plant(folder, append_only=self._append_only, program=program) as plant:
            return self.named[name](plant)


@contextmanager
def pushing(clients: list[Client], target: str) -> Iterator[tuple[list[str], list[Answer]]]:
    """Push all the time over each client; give the ids that were acknowledged, and the refusals."""
    stored: list[str] = []
    refused: list[Answer] = []
    ending = threading.Event()

    def push(client: Client) -> None:
        while not ending.wait(0.01):
            answer = client.push(target, x_lq_delay="1000")
            if answer.status == 201:
                stored.append(answer.body["id"])
            else:
                refused.append(answer)

    threads = [threading.Thread(target=push, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield stored, refused
    finally:
        ending.set()
        for thread in threads:
            thread.join(30)
