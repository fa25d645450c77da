"""The arrows of the state machine: the table, the diagram in the docs and the scripts agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lambdaqueue.attempts import Kind
from lambdaqueue.connection import Scripts
from lambdaqueue.execution import EXECUTION_TRANSITIONS, ExecutionStatus
from lambdaqueue.job import TRANSITIONS, Job, State
from lambdaqueue.queue_settings import Policies
from tests.store.service_desk import FAIL, QUEUE, Called, ServiceDesk
from tests.store.snapshot import Entry, Snapshot
from tests.store.world import ACTOR, ENV, Hand, World

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"

Change = tuple[StrEnum, StrEnum]
Arrows = dict[Change, set[str]]

TABLE: set[Change] = {(old, new) for old, targets in TRANSITIONS.items() for new in targets}
EXECUTIONS: set[Change] = {
    (old, new) for old, targets in EXECUTION_TRANSITIONS.items() for new in targets
}


class Observer:
    """Notes which arrows each call of a script follows: of jobs, and of those that are executions
    also as such."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._run = Scripts.run
        self.jobs: Arrows = {}
        self.executions: Arrows = {}

    def run(self, scripts: Scripts, name: str, keys_: Any, *args: Any) -> Any:
        if name in {"beat", "tick", "invoke", "read", "due_executions"}:  # they change no state
            return self._run(scripts, name, keys_, *args)
        before = self._world.snapshot()
        answer = self._run(scripts, name, keys_, *args)
        after = self._world.snapshot()
        for arrow in _arrows(before, after):
            self.jobs.setdefault(arrow, set()).add(name)
        for arrow in _execution_arrows(before, after):
            self.executions.setdefault(arrow, set()).add(name)
        return answer


def _arrows(before: Snapshot, after: Snapshot) -> set[Change]:
    found: set[Change] = set()
    for job_id, old in before.jobs.items():
        new = after.jobs.get(job_id)
        state = State(old["state"])
        if new and (_told(new) != _told(old)):
            found.add((state, State(new["state"])))
    for entry in _new_entries(before, after):
        job_id = entry.fields["id"]
        if job_id in before.jobs:
            found.add((State(before.jobs[job_id]["state"]), State(entry.fields["state"])))
    return found - {(State.RUNNING, State.RUNNING)}


def _execution_arrows(before: Snapshot, after: Snapshot) -> set[Change]:
    """A version that follows another one is not what that one became."""
    found: set[Change] = set()
    for job_id, old in before.jobs.items():
        new = after.jobs.get(job_id)
        if new and new["version"] == old["version"]:
            found.add((_status(before, job_id), _status(after, job_id)))
    for entry in _new_entries(before, after):
        job_id = entry.fields["id"]
        if job_id in before.jobs:
            fields = {name.encode(): value.encode() for name, value in entry.fields.items()}
            job = Job.from_entry("", entry.name, fields, Policies())
            if job.spec.terms is not None:
                found.add((_status(before, job_id), job.execution_status))
    return {(old, new) for old, new in found if old != new}


def _status(snapshot: Snapshot, job_id: str) -> ExecutionStatus:
    begun = "awaiting" in snapshot.jobs[job_id]
    return ExecutionStatus.RUNNING if begun else ExecutionStatus.INVOKED


def _told(job: dict[str, str]) -> tuple[str, ...]:
    return job["state"], job["version"], job["due"]


def _new_entries(before: Snapshot, after: Snapshot) -> list[Entry]:
    known = _entries(before)
    return [entry for place, entry in _entries(after).items() if place not in known]


def _entries(snapshot: Snapshot) -> dict[tuple[str, str], Entry]:
    """Return the entries of all histories; two of one millisecond differ by their stream only."""
    return {
        (stream, entry.name): entry
        for stream, entries in snapshot.streams.items()
        if ":history:" in stream
        for entry in entries
    }


@pytest.fixture
def seen(world: World, monkeypatch: pytest.MonkeyPatch) -> Observer:
    """All that can happen has happened once, from each state."""
    observer = Observer(world)

    def run(self: Scripts, name: str, keys_: Any, *args: Any) -> Any:
        return observer.run(self, name, keys_, *args)

    monkeypatch.setattr(Scripts, "run", run)
    live_through_everything(world)
    live_as_executions(world)
    return observer


def live_through_everything(world: World) -> None:
    """Do all that can happen to a job, once from each state."""
    world.worker()
    for prepare in (pending, retry):
        change_what_waits(world, prepare)
    for kind in Kind:
        if kind is not Kind.STARTED:  # that's of executions
            settle_what_runs(world, kind)
    reclaim_what_runs(world)


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


def live_as_executions(world: World) -> None:
    """Bring executions into each state, and let there happen all that can."""
    desk = ServiceDesk(world)
    desk.put()
    for queue in ("mail", QUEUE):
        world.queues.configure(ACTOR, queue, {"history_limit": 1, "failed_limit": 1}, None)
    for bring, act in product(
        (_ready, _out, _started, _heard, _refused),
        (
            _cancelled, _succeeds, _fails, _fails_to_start, _beats, _falls_silent, _outlives_itself,
            _is_deleted, _is_replaced, _is_replaced_and_cancelled, _loses_its_worker,
            _is_deleted_and_loses_its_worker,
        ),
    ):  # fmt: skip
        for name in _begin(desk):
            called = bring(desk)
            assert called is None or called.name == name
            act(desk, name, called)
            _end(desk, name)
    desk.push(max_age=1)
    world.later(2)
    desk.worker.claim()


def _begin(desk: ServiceDesk) -> Iterator[str]:
    """An item, and when that has ended the run of a service job."""
    yield desk.push("k")
    yield desk.run()


def _end(desk: ServiceDesk, name: str) -> None:
    """Make room for the next one."""
    while (job := desk.world.jobs.read(name)) is not None:
        desk.world.cancel(name)
        if job.state is State.RUNNING:
            desk.cancel(name)
    desk.worker.claim()


def _ready(desk: ServiceDesk) -> None:
    """It waits to be claimed."""


def _out(desk: ServiceDesk) -> Called:
    return desk.call()


def _started(desk: ServiceDesk) -> Called:
    return desk.start()


def _heard(desk: ServiceDesk) -> Called:
    called = desk.call()
    desk.beat(called)
    return called


def _refused(desk: ServiceDesk) -> Called:
    called = desk.call()
    desk.refuse(called)
    return called


def _cancelled(desk: ServiceDesk, name: str, called: Called | None) -> None:
    desk.cancel(name)


def _succeeds(desk: ServiceDesk, name: str, called: Called | None) -> None:
    if called:
        desk.finish(called)


def _fails(desk: ServiceDesk, name: str, called: Called | None) -> None:
    if called:
        desk.finish(called, FAIL)


def _fails_to_start(desk: ServiceDesk, name: str, called: Called | None) -> None:
    if called:
        desk.worker.settle(called.claim, Kind.FAILED, error="http_410: gone")


def _beats(desk: ServiceDesk, name: str, called: Called | None) -> None:
    if called:
        desk.beat(called)


def _falls_silent(desk: ServiceDesk, name: str, called: Called | None) -> None:
    _beats(desk, name, called)
    desk.world.client.hincrby("lq:seq", "lease_ms", 60_000)
    desk.world.later(60_000)
    desk.expire()


def _outlives_itself(desk: ServiceDesk, name: str, called: Called | None) -> None:
    desk.world.later(600_000)
    desk.expire()


def _is_deleted(desk: ServiceDesk, name: str, called: Called | None) -> None:
    desk.world.cancel(name)
    if called and desk.world.jobs.read(name):
        desk.worker.settle(called.claim, Kind.RETRY, delay=1)
        if desk.world.jobs.read(name):
            desk.finish(called, FAIL)


def _is_replaced(desk: ServiceDesk, name: str, called: Called | None) -> None:
    if called and desk.world.job(name).key:
        desk.push("k")
        if desk.world.job(name).pending:
            desk.finish(called, FAIL)


def _is_replaced_and_cancelled(desk: ServiceDesk, name: str, called: Called | None) -> None:
    if called and desk.world.job(name).key:
        desk.push("k")
        desk.world.jobs.cancel_at_once(name)


def _loses_its_worker(desk: ServiceDesk, name: str, called: Called | None) -> None:
    """Three times, each time as its one suspect."""
    for _ in range(4):
        desk.world.kill(desk.worker)
        desk.worker = desk.world.worker()
        if desk.world.jobs.read(name) and desk.worker.claim() == []:
            return


def _is_deleted_and_loses_its_worker(desk: ServiceDesk, name: str, called: Called | None) -> None:
    desk.world.cancel(name)
    desk.world.kill(desk.worker)
    desk.worker = desk.world.worker()


def drawn(which: int, states: type[StrEnum]) -> Arrows:
    """The arrows of one of the diagrams, with the scripts that their labels name."""
    text = ARCHITECTURE.read_text("utf-8")
    diagram = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)[which]
    arrows = re.findall(r"^ *(\w+) --> (\w+): *(.+)$", diagram, re.MULTILINE)
    return {(states(old), states(new)): _scripts(label) for old, new, label in arrows}


def _scripts(label: str) -> set[str]:
    parts = [part.strip() for part in label.split(",")]
    return {
        "run_now" if part.startswith("run now") else part.split()[0]
        for part in parts
        if not part.startswith("when ")
    }


def test_the_scripts_follow_the_tables_and_the_diagrams_show_it(seen: Observer) -> None:
    assert seen.jobs.keys() == TABLE
    assert drawn(0, State) == seen.jobs
    assert seen.executions.keys() == EXECUTIONS
    assert drawn(1, ExecutionStatus) == seen.executions


@pytest.mark.parametrize(
    ("states", "first", "makes"),
    [(State, "PENDING", "push"), (ExecutionStatus, "invoked", "push, fire, start_execution")],
)
def test_the_diagrams_show_the_ends_and_the_beginning(
    states: type[State] | type[ExecutionStatus], first: str, makes: str
) -> None:
    text = ARCHITECTURE.read_text("utf-8")
    assert re.search(rf"^ *\[\*\] --> {first}: {makes}$", text, re.MULTILINE)
    for state in states:
        ends = re.search(rf"^ *{state} --> \[\*\]$", text, re.MULTILINE) is not None
        assert ends == state.ended


def test_nothing_leaves_an_end() -> None:
    assert all(state.ended == (not TRANSITIONS[state]) for state in State)
    assert all(each.ended == (not EXECUTION_TRANSITIONS[each]) for each in ExecutionStatus)
