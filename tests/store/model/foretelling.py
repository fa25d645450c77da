"""What the model says of each single call of a script, also of those that are sent again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.store.model.executions import Concluded, ExecutionReference
from tests.store.model.records import Settled

__all__ = ["Foretelling"]

WIDTH = 11
"""Arguments of one ending."""


class Foretelling:
    """Tells the model of every call of the scripts it knows, and compares the answers."""

    def __init__(self, model: ExecutionReference) -> None:
        self._model = model
        self._remembered: dict[str, Any] = {}
        self._scripts: Mapping[str, Callable[[Sequence[str], Any], None]] = {
            "invoke": self._invoke,
            "heartbeat": self._heartbeat,
            "end_executions": self._end,
            "due_executions": self._due,
            "start_execution": self._start,
            "fire": self._fire,
        }

    def knows(self, name: str) -> bool:
        return name in self._scripts

    def check(self, name: str, keys_: Sequence[str], args: Sequence[Any], answer: Any) -> None:
        """Compare one call's answer; it has not been told to the model yet."""
        request = next((key for key in keys_ if key.startswith("lq:request:")), None)
        if request in self._remembered:
            assert answer == self._remembered[request], f"{name}: {answer} to a known request"
            return
        self._scripts[name]([_text(arg) for arg in args], answer)
        if request and answer[0] not in (b"absent", b"disabled"):
            self._remembered[request] = answer

    def _invoke(self, args: Sequence[str], answer: Any) -> None:
        job_id, token, digest, ttl, beat, service_job = args
        wanted = self._model.invoke(job_id, token, digest, (int(ttl), int(beat)), service_job)
        assert answer == wanted, f"invoke: {answer}, not {wanted}"

    def _heartbeat(self, args: Sequence[str], answer: Any) -> None:
        now, job_id, token, progress, extend, most = args
        wanted = self._model.heartbeat(
            int(now), job_id, token, progress, int(extend) if extend else None, int(most)
        )
        assert answer == wanted, f"heartbeat: {answer}, not {wanted}"

    def _end(self, args: Sequence[str], answer: Any) -> None:
        rows = [args[at : at + WIDTH] for at in range(1, len(args), WIDTH)]
        wanted = [self._model.conclude(int(args[0]), _concluded(row)) for row in rows]
        assert answer == wanted, f"end: {answer}, not {wanted}"

    def _due(self, args: Sequence[str], answer: Any) -> None:
        found = {row[1].decode(): row[0].decode() for row in answer[2:]}
        wanted = self._model.due(int(args[0]))
        assert found == wanted, f"due: {found}, not {wanted}"

    def _start(self, args: Sequence[str], answer: Any) -> None:
        now, environment, service_job, kind, *how = args
        event, repeats, spec, *_ = how
        self._model.start_by_hand(
            answer, (environment, service_job), kind, (event, repeats, spec), int(now)
        )

    def _fire(self, args: Sequence[str], answer: Any) -> None:
        now, at, rows = int(args[0]), 1, iter(answer)
        while at < len(args):
            count = int(args[at + 4])
            runs = [int(each) for each in args[at + 5 : at + 5 + 2 * count]]
            names = tuple(args[at].split(":", 1))
            stood = (args[at + 1], args[at + 2], args[at + 3])
            pairs = list(zip(runs[::2], runs[1::2], strict=True))
            self._model.fire(next(rows).decode(), (names[0], names[1]), stood, pairs, now)
            at += 5 + 2 * count


def _text(arg: Any) -> str:
    return arg.decode("utf-8", "surrogateescape") if isinstance(arg, bytes) else str(arg)


def _concluded(row: Sequence[str]) -> Concluded:
    job_id, token, attempt, kind, delay, error, log, _, final, digest, left = row
    outcome = Settled(job_id, "", kind, int(delay), error, tuple(json.loads(log)), final)
    return Concluded(outcome, token, int(attempt), digest, left)
