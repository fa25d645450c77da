"""The arrows of the state machine: the table, the diagram in the docs and the scripts agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lambdaqueue.attempts import Kind
from lambdaqueue.connection import Scripts
from lambdaqueue.job import TRANSITIONS, State
from tests.store.snapshot import Entry, Snapshot
from tests.store.world import ENV, Hand, World

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"

Arrow = tuple[State, State]
TABLE = {(old, new) for old, targets in TRANSITIONS.items() for new in targets}


class Observer(Scripts):
    """Notes which arrow each call of a script follows."""

    def __init__(self, world: World) -> None:
        super().__init__(world.client)
        self._world = world
        self.seen: dict[Arrow, set[str]] = {}

    def run(self, name: str, keys_: Any, *args: Any) -> Any:
        if name == "beat":  # says nothing of jobs
            return super().run(name, keys_, *args)
        before = self._world.snapshot()
        answer = super().run(name, keys_, *args)
        for arrow in _arrows(before, self._world.snapshot()):
            self.seen.setdefault(arrow, set()).add(name)
        return answer


def _arrows(before: Snapshot, after: Snapshot) -> set[Arrow]:
    found = set()
    for job_id, old in before.jobs.items():
        new = after.jobs.get(job_id)
        state = State(old["state"])
        if new and (_told(new) != _told(old)):
            found.add((state, State(new["state"])))
    known = _entries(before)
    for place, entry in _entries(after).items():
        if place in known:
            continue
        job_id = entry.fields["id"]
        if job_id in before.jobs:
            found.add((State(before.jobs[job_id]["state"]), State(entry.fields["state"])))
    return found - {(State.RUNNING, State.RUNNING)}


def _told(job: dict[str, str]) -> tuple[str, ...]:
    return job["state"], job["version"], job["due"]


def _entries(snapshot: Snapshot) -> dict[tuple[str, str], Entry]:
    """Return the entries of all histories; two of one millisecond differ by their stream only."""
    return {
        (stream, entry.name): entry
        for stream, entries in snapshot.streams.items()
        if ":history:" in stream
        for entry in entries
    }


def live_through_everything(world: World) -> dict[Arrow, set[str]]:
    """Do all that can happen to a job, once from each state."""
    observer = Observer(world)
    for store in (world.jobs, world.queues, world.upkeep):
        store._scripts = observer
    world.scripts = observer
    world.worker()
    for prepare in (pending, retry):
        change_what_waits(world, prepare)
    for kind in Kind:
        settle_what_runs(world, kind)
    reclaim_what_runs(world)
    return observer.seen


def pending(world: World, **options: Any) -> str:
    return world.push(key="k", delay=1_000, **options).job.id


def retry(world: World, **options: Any) -> str:
    worker = world.worker()
    job = world.push(key="k", **options).job.id
    worker.retry(worker.claim_one(), delay=1_000)
    return job


def change_what_waits(world: World, prepare: Any) -> None:
    job = prepare(world)
    world.jobs.run_now(job, ENV, None)
    world.cancel(job)
    world.worker().claim()
    job = prepare(world)
    world.push(key="k", delay=5_000)
    world.cancel(job)
    job = prepare(world)
    world.change(job)
    world.cancel(job)
    prepare(world, max_age=1_001)
    world.later(5_000)
    world.upkeep.tick()
    world.worker().claim()


def settle_what_runs(world: World, kind: Kind) -> None:
    worker = world.worker()
    for drop, again in ((False, False), (False, True), (True, False), (True, True)):
        job = world.push(key="k").job.id
        claim = worker.claim_one()
        if drop:
            world.cancel(job)
        if again:
            world.push(key="k", delay=1_000)
        worker.settle(claim, kind, error="http_500: no")
        world.cancel(job)
        worker.claim()


def reclaim_what_runs(world: World) -> None:
    hands = [world.worker() for _ in range(7)]
    dropped = world.push().job.id
    hands[0].claim_one()
    world.cancel(dropped)
    world.push(key="k")
    hands[1].claim_one()
    world.push(key="k", delay=100_000)
    world.push()
    for hand in hands[2:]:
        lose(world, hand)


def lose(world: World, hand: Hand) -> None:
    hand.claim()
    world.kill(hand)


def drawn() -> dict[Arrow, set[str]]:
    """The arrows of the diagram, with the scripts that their labels name."""
    text = ARCHITECTURE.read_text("utf-8")
    (diagram,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)
    arrows = re.findall(r"^ *([A-Z]+) --> ([A-Z]+): *(.+)$", diagram, re.MULTILINE)
    return {(State(old), State(new)): _scripts(label) for old, new, label in arrows}


def _scripts(label: str) -> set[str]:
    parts = [part.strip() for part in label.split(",")]
    return {
        "run_now" if part.startswith("run now") else part.split()[0]
        for part in parts
        if not part.startswith("when ")
    }


def test_the_scripts_follow_the_table(world: World) -> None:
    assert live_through_everything(world).keys() == TABLE


def test_the_diagram_shows_what_the_scripts_do(world: World) -> None:
    assert drawn() == live_through_everything(world)


def test_the_diagram_shows_the_ends_and_the_beginning() -> None:
    text = ARCHITECTURE.read_text("utf-8")
    assert re.search(r"^ *\[\*\] --> PENDING: push$", text, re.MULTILINE)
    for state in State:
        ends = re.search(rf"^ *{state} --> \[\*\]$", text, re.MULTILINE) is not None
        assert ends == state.ended == (not TRANSITIONS[state])
