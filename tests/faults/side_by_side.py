"""Scenarios that run side by side, because most of their time is waiting for something.

Each has a stage of its own and returns what happened, in words: a row of README.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import pytest

from tests.faults.plant import Answer, Client
from tests.workers.stage import Stage

__all__ = ["AT_ONCE", "Play", "Scenarios", "pushing"]

AT_ONCE = 3.0
"""Seconds for what is promised within two, on two busy cores."""

S = TypeVar("S", bound=Stage)
Play = Callable[[S], str]


class Scenarios(Generic[S]):
    """The scenarios of one module, by name.

    `stage` makes what each is played on, in a folder; at most `beside` of them are at work at the
    same time, all where it is None.
    """

    def __init__(self, stage: Callable[[Path], S], *, beside: int | None = None) -> None:
        self.named: dict[str, Play[S]] = {}
        self._stage = stage
        self._stages: dict[str, Callable[[Path], S]] = {}
        self._beside = beside

    def scenario(
        self, name: str, stage: Callable[[Path], S] | None = None
    ) -> Callable[[Play[S]], Play[S]]:
        """Add a function; it has a `stage` of another kind, if one is given."""

        def add(play: Play[S]) -> Play[S]:
            self.named[name] = play
            self._stages[name] = stage or self._stage
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
        with ThreadPoolExecutor(self._beside or len(self.named)) as pool:
            yield {
                name: pool.submit(self._play, name, folder / str(number))
                for number, name in enumerate(self.named)
                if name in asked
            }

    def _play(self, name: str, folder: Path) -> str:
        folder.mkdir()
        with self._stages[name](folder) as stage:
            return self.named[name](stage)


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
