"""Connections that lose answers: whoever gets none sends the same again."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from lambdaqueue.connection import Redis, Scripts
from tests.store.model.foretelling import Foretelling

__all__ = ["AsyncWire", "Wire"]

MINTED = frozenset(
    {
        "push", "cancel", "change", "run_now", "configure",
        "start_execution", "set_schedule", "drop_schedule",
    }
)  # fmt: skip
"""Scripts that know a request again by its id."""
FORGETFUL = frozenset(
    {
        b"absent", b"conflict", b"mismatch", b"no_target", b"running", b"suspended", b"disabled",
    }
)  # fmt: skip
"""Answers that changed nothing and are not remembered."""

TIMED = frozenset({"heartbeat", "end_executions", "due_executions", "fire"})


class Wire(Scripts):
    """Loses answers: the client then sends the same again, at once or (rarely) much later."""

    def __init__(self, client: Redis, chance: random.Random, foretelling: Foretelling) -> None:
        super().__init__(client)
        self._chance = chance
        self._foretelling = foretelling
        self.sent: deque[tuple[str, Any, tuple[Any, ...], Any]] = deque(maxlen=30)
        self.resends = 0
        self.heard = b""

    def run(self, name: str, keys_: Any, *args: Any) -> Any:
        answer = self._send(name, keys_, args)
        if name in MINTED or name in ("claim", "settle", "beat"):
            if self._chance.random() < 0.15:
                self.again(name, keys_, args, answer)
            if not answer or answer[0] not in FORGETFUL:
                self.sent.append((name, keys_, args, answer))
        elif self._foretelling.knows(name):
            if self._chance.random() < 0.15:  # and nobody hears the first answer
                self.resends += 1
                answer = self._send(name, keys_, args)
            self.sent.append((name, keys_, args, answer))
        return answer

    def _send(self, name: str, keys_: Any, args: tuple[Any, ...]) -> Any:
        answer = super().run(name, keys_, *args)
        if self._foretelling.knows(name):
            self._foretelling.check(name, keys_, args, answer)
        if name == "heartbeat":
            self.heard = answer[0]
        return answer

    def again(self, name: str, keys_: Any, args: tuple[Any, ...], answer: Any) -> None:
        """Send a call that was just answered once more: the answer is the same."""
        self.resends += 1
        second = self._send(name, keys_, args)
        if name == "claim":
            second, answer = _without_hold(second), _without_hold(answer)
        assert second == answer, f"{name}: {second} after {answer}"

    def much_later(self, now: int) -> tuple[str, tuple[Any, ...]]:
        """Deliver an old call to Redis again, as a network may; nobody hears the answer."""
        name, keys_, args, answer = self._chance.choice(list(self.sent))
        if name in TIMED:  # Redis' clock is what it is by then
            args = (str(now), *args[1:])
        second = self._send(name, keys_, args)
        if name in MINTED:
            assert second == answer, f"{name}: {second} after {answer}"
        return name, args

    def forget_claims(self, worker: str) -> None:
        """A worker that had left was born again: to it, its old claims would be new ones."""
        claims = [each for each in self.sent if each[0] == "claim" and each[2][1] == worker]
        for each in claims:
            self.sent.remove(each)


def _without_hold(answer: Any) -> Any:
    return answer[:1] if answer[0] != b"claimed" else (answer[3], answer[4:])


class AsyncWire:
    """The same for AttemptStore, which awaits its scripts."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def open(self, count: int) -> None:
        """There is nothing to open."""

    async def run(self, name: str, keys_: Any, *args: Any) -> Any:
        return self._wire.run(name, keys_, *args)
