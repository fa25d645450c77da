"""What people change, and its entry in the audit: one script commits both, or neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.commands import Idempotency, Push
from lambdaqueue.connection import Scripts
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import Conflict, InvalidRequest, NotFound, StorageFull
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.identity import Actor
from lambdaqueue.job import State
from lambdaqueue.schedule import Schedule
from lambdaqueue.schedules import ScheduleChanged, ScheduleStore
from lambdaqueue.spec import Spec
from lambdaqueue.store import TargetMissing, VersionChanged
from tests.store.desk import full, schedule
from tests.store.service_desk import ServiceDesk
from tests.store.snapshot import Snapshot
from tests.store.world import ENV, NOW, TARGET, Hand, World

NASTY = "]]..'\"\\{} * é \U0001f600"
BY = Actor(ENV, f"jan {NASTY}", f"192.0.2.7 {NASTY}")
LATER = 60_000
PUSH = Push(Spec(target=TARGET))

Told = tuple[str, str, str, str, int]


class Noting(Scripts):
    """Notes the changes that go out, so that a test can send them again."""

    def __init__(self, world: World) -> None:
        super().__init__(world.client)
        self.calls: list[tuple[str, Any, tuple[Any, ...], Any]] = []

    def run(self, name: str, keys_: Any, *args: Any) -> Any:
        answer = super().run(name, keys_, *args)
        if any(key.startswith("lq:request:") for key in keys_):
            self.calls.append((name, keys_, args, answer))
        return answer


class Office:
    """A world with a job in each state, an ended one, a schedule and a service job."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.jobs, self.queues = world.jobs, world.queues
        self.schedules = ScheduleStore(world.client, NOW)
        self.executions = ExecutionStore(world.client, NOW)
        self.worker: Hand = world.worker()
        self.services = ServiceDesk(world, self.worker)
        self.services.put()
        self.running = world.push(key="running").job.id
        self.worker.claim_one()
        failed = world.push("old")
        self.worker.settle(self.worker.claim_one(), Kind.FAILED, error="http_410: gone")
        self.entry = str(world.ended(failed.job.id).entry)
        self.due = world.push().job.id
        self.waiting = world.push(key="waiting", delay=LATER).job.id
        self.schedules.put(schedule("night", NOW + LATER), 0)
        self.schedules.put(replace(schedule("nameless", NOW + LATER), key=None), 0)
        self.scripts = Noting(world)
        for store in (self.jobs, self.queues, self.schedules, self.executions):
            store._scripts = self.scripts

    def schedule(self, name: str = "night") -> Schedule:
        found = self.schedules.read(ENV, name)
        assert found is not None
        return found

    def change(self, job_id: str, by: Actor | None, payload: bytes = b"new") -> object:
        job = self.world.job(job_id)
        spec = replace(job.spec, payload=payload)
        return self.jobs.change(job, spec, delay=None, on=None, priority=0, by=by)

    def toggle(self, name: str, by: Actor | None, action: str = "schedule.pause") -> None:
        known = self.schedule(name)
        wanted = replace(known, paused=action == "schedule.pause")
        self.schedules.put(wanted, known.revision, action=action, by=by)

    def resume(self, by: Actor | None) -> None:
        self.toggle("night", None)
        self.toggle("night", by, "schedule.resume")

    def start(self, kind: Any, by: Actor | None, job: str = "daily", **more: Any) -> object:
        return self.executions.start(ENV, f"reports/{job}", kind, by=by, **more)

    def replay(
        self, by: Actor | None, push: Push = PUSH, once: Idempotency | None = None
    ) -> object:
        if by is None:
            return self.jobs.push(ENV, "old", [push], once)
        return self.jobs.replay(by, "old", [push], "f1-0", idempotency=once)

    def purge(self, by: Actor | None, *states: State) -> object:
        ids = [self.running, self.due, self.waiting]
        return [self.queues.purge(ENV, "mail", state, ids, by=by) for state in states or (None,)]

    def forget(self, by: Actor | None, *entries: str) -> object:
        return self.queues.forget_entries(ENV, "old", State.FAILED, entries, by=by)

    def told(self) -> list[Told]:
        """Return the audit, oldest first."""
        rows = EnvironmentStore(self.world.client).audit(ENV, 1_000, None).rows[::-1]
        return [(row.token, row.action, row.object, row.address, row.at) for row in rows]


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


Act = Callable[[Office, Actor | None], object]


@dataclass(frozen=True)
class Deed:
    """A change, and what the audit says of it; `{…}` in `object` is an attribute of the office."""

    act: Act
    action: str
    object: str
    when_full: bool = False


DEEDS = {
    "cancel what waits": Deed(
        lambda o, by: o.jobs.cancel(ENV, "", o.waiting, "", by=by),
        "item.cancel", "mail {waiting}", when_full=True,
    ),
    "cancel by key": Deed(
        lambda o, by: o.jobs.cancel(ENV, "mail", "", "waiting", by=by),
        "item.cancel", "mail {waiting}", when_full=True,
    ),
    "cancel what runs": Deed(
        lambda o, by: o.jobs.cancel(ENV, "", o.running, "", by=by),
        "item.cancel", "mail {running}", when_full=True,
    ),
    "cancel at once": Deed(
        lambda o, by: o.jobs.cancel_at_once(o.running, by=by),
        "execution.cancel", "{running}", when_full=True,
    ),
    "cancel at once what waits": Deed(
        lambda o, by: o.jobs.cancel_at_once(o.waiting, by=by),
        "execution.cancel", "{waiting}", when_full=True,
    ),
    "run now": Deed(
        lambda o, by: o.jobs.run_now(o.waiting, ENV, None, by=by), "item.run", "mail {waiting}"
    ),
    "change": Deed(
        lambda o, by: o.change(o.waiting, by), "item.change", "mail {waiting}", when_full=True
    ),
    "change what runs": Deed(
        lambda o, by: o.change(o.running, by), "item.change", "mail {running}", when_full=True
    ),
    "pause": Deed(lambda o, by: o.toggle("night", by), "schedule.pause", "night"),
    "pause one without a key": Deed(
        lambda o, by: o.toggle("nameless", by), "schedule.pause", "nameless"
    ),
    "resume": Deed(lambda o, by: o.resume(by), "schedule.resume", "night"),
    "run a schedule": Deed(
        lambda o, by: o.schedules.run(o.schedule(), NOW, by=by), "schedule.run", "night"
    ),
    "run one without a key": Deed(
        lambda o, by: o.schedules.run(o.schedule("nameless"), NOW, by=by),
        "schedule.run", "nameless",
    ),
    "remove": Deed(
        lambda o, by: o.schedules.drop(ENV, "night", by=by),
        "schedule.remove", "night", when_full=True,
    ),
    "remove one without a key": Deed(
        lambda o, by: o.schedules.drop(ENV, "nameless", by=by),
        "schedule.remove", "nameless", when_full=True,
    ),
    "run a service job": Deed(lambda o, by: o.start("run", by), "service.run", "reports/daily"),
    "test a service job": Deed(lambda o, by: o.start("test", by), "service.test", "reports/daily"),
    "retry an execution": Deed(
        lambda o, by: o.start("retry", by, retry_of=o.running), "execution.retry", "{running}"
    ),
    "purge": Deed(lambda o, by: o.purge(by), "queue.purge", "mail waiting", when_full=True),
    "purge a state": Deed(
        lambda o, by: o.purge(by, State.PENDING), "queue.purge", "mail PENDING", when_full=True
    ),
    "purge history": Deed(
        lambda o, by: o.forget(by, o.entry), "queue.purge", "old FAILED", when_full=True
    ),
    "replay": Deed(lambda o, by: o.replay(by), "queue.replay", "old f1-0"),
}  # fmt: skip

each_deed = pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)


@each_deed
def test_the_entry_comes_with_the_change(office: Office, deed: Deed) -> None:
    deed.act(office, BY)
    expected = deed.object.format(**vars(office))
    assert office.told() == [(BY.name, deed.action, expected, BY.address, NOW)]


@each_deed
def test_by_a_program_there_is_none(world: World, office: Office, deed: Deed) -> None:
    before = world.snapshot()
    deed.act(office, None)
    assert world.snapshot() != before
    assert not world.client.exists(keys.audit(ENV))


@each_deed
def test_sent_again_it_is_told_once(world: World, office: Office, deed: Deed) -> None:
    deed.act(office, BY)
    before = world.snapshot()
    for name, keys_, args, answer in [*office.scripts.calls, office.scripts.calls[-1]]:
        assert Scripts(world.client).run(name, keys_, *args) == answer
    assert len(office.told()) == 1
    assert world.snapshot() == before


@each_deed
def test_a_full_redis_takes_both_or_neither(world: World, office: Office, deed: Deed) -> None:
    if deed.action == "schedule.resume":
        office.toggle("night", None)
    before = world.snapshot()
    with full(world):
        try:
            deed.act(office, BY)
        except StorageFull:
            assert not deed.when_full
            assert world.snapshot() == before
            assert office.told() == []
        else:
            assert deed.when_full
            assert len(office.told()) == 1


@each_deed
def test_an_environment_that_ends_keeps_none(world: World, office: Office, deed: Deed) -> None:
    """What comes late would leave an audit behind that nobody deletes any more."""
    world.client.hset(keys.environment(ENV), "closed", 1)
    try:
        deed.act(office, BY)
    except NotFound:
        assert deed.action in ("schedule.pause", "schedule.resume", "queue.replay")
    assert not world.client.exists(keys.audit(ENV))


def twice(act: Act) -> Act:
    """Do it first for nobody: the second time nothing is left to do."""

    def again(office: Office, by: Actor | None) -> object:
        act(office, None)
        return act(office, by)

    return again


def stale(office: Office, by: Actor | None) -> object:
    known = office.schedule()
    office.toggle("night", None)
    return office.schedules.run(known, NOW, by=by)


def changed_meanwhile(office: Office, by: Actor | None) -> object:
    job = office.world.job(office.waiting)
    office.change(office.waiting, None)
    return office.jobs.change(job, job.spec, delay=None, on=None, priority=0, by=by)


def ended_meanwhile(office: Office, by: Actor | None) -> object:
    job = office.world.job(office.waiting)
    office.jobs.cancel(ENV, "", office.waiting, "")
    return office.jobs.change(job, job.spec, delay=None, on=None, priority=0, by=by)


def targetless(office: Office, by: Actor | None) -> object:
    job = office.world.job(office.waiting)
    spec = replace(job.spec, target=None)
    return office.jobs.change(job, spec, delay=None, on=None, priority=0, by=by)


def overlapping(office: Office, by: Actor | None) -> object:
    office.schedules.put(schedule("alone", NOW + LATER, overlap="skip"), 0)
    office.schedules.run(office.schedule("alone"), NOW)
    return office.schedules.run(office.schedule("alone"), NOW + 1, by=by)


def put_stale(office: Office, by: Actor | None) -> object:
    office.schedules.put(office.schedule(), 7, action="schedule.pause", by=by)
    return None


def disabled(office: Office, by: Actor | None) -> object:
    office.services.put(enabled=False)
    return office.start("run", by)


def replayed(office: Office, by: Actor | None) -> object:
    """A client's key stands for a request also where another script carries it out."""
    once = Idempotency("i", "f")
    office.jobs.push(ENV, "old", [PUSH], once)
    return office.replay(by, once=once)


def mistaken(office: Office, by: Actor | None) -> object:
    office.jobs.push(ENV, "old", [PUSH], Idempotency("i", "f"))
    return office.replay(by, once=Idempotency("i", "another"))


NOTHING: dict[str, tuple[Act, type[Exception] | None]] = {
    "cancel nothing": (lambda o, by: o.jobs.cancel(ENV, "mail", "", "x", by=by), None),
    "cancel twice": (twice(lambda o, by: o.jobs.cancel(ENV, "", o.waiting, "", by=by)), None),
    "cancel twice what runs": (
        twice(lambda o, by: o.jobs.cancel(ENV, "", o.running, "", by=by)), None,
    ),
    "cancel at once twice": (twice(lambda o, by: o.jobs.cancel_at_once(o.running, by=by)), None),
    "run what is due": (lambda o, by: o.jobs.run_now(o.due, ENV, None, by=by), None),
    "run twice": (twice(lambda o, by: o.jobs.run_now(o.waiting, ENV, None, by=by)), None),
    "run what runs": (lambda o, by: o.jobs.run_now(o.running, ENV, None, by=by), Conflict),
    "run nothing": (lambda o, by: o.jobs.run_now(f"{'0' * 13}1", ENV, None, by=by), NotFound),
    "change what has changed": (changed_meanwhile, VersionChanged),
    "change what has ended": (ended_meanwhile, NotFound),
    "change without a target": (targetless, TargetMissing),
    "pause what has changed": (put_stale, ScheduleChanged),
    "run a schedule that has changed": (stale, ScheduleChanged),
    "run a schedule that overlaps": (overlapping, None),
    "remove nothing": (lambda o, by: o.schedules.drop(ENV, "x", by=by), NotFound),
    "remove twice": (twice(lambda o, by: o.schedules.drop(ENV, "night", by=by)), NotFound),
    "run no service job": (lambda o, by: o.start("run", by, job="x"), None),
    "run a disabled one": (disabled, None),
    "purge nothing": (lambda o, by: o.purge(by, State.RETRY), None),
    "purge twice": (twice(lambda o, by: o.purge(by)), None),
    "purge no history": (lambda o, by: o.forget(by, "f1-0"), None),
    "purge history twice": (twice(lambda o, by: o.forget(by, o.entry)), None),
    "replay without a target": (lambda o, by: o.replay(by, Push(Spec())), TargetMissing),
    "replay what is pushed": (replayed, None),
    "replay something else": (mistaken, InvalidRequest),
}  # fmt: skip


@pytest.mark.parametrize(("act", "error"), NOTHING.values(), ids=NOTHING)
def test_where_nothing_changes_nothing_is_told(
    world: World, office: Office, act: Act, error: type[Exception] | None
) -> None:
    if error is None:
        act(office, BY)
    else:
        with pytest.raises(error):
            act(office, BY)
    assert not world.client.exists(keys.audit(ENV))


def test_a_purge_of_many_is_told_with_the_first_that_goes(office: Office) -> None:
    """One that is interrupted has its entry, and one of nothing has none."""
    office.purge(None, State.PENDING)
    assert office.queues.purge(ENV, "mail", None, [office.due], by=BY) == 0
    assert office.told() == []


class TestDeletingAQueue:
    @pytest.fixture
    def emptied(self, world: World) -> Snapshot:
        """It takes three steps."""
        for _ in range(230):
            world.cancel(world.push(delay=1_000).job.id)
        return world.snapshot()

    def drop_once(self, world: World, request: str, *by: str) -> bytes:
        ref = keys.queue_ref(ENV, "mail")
        answer = world.scripts.run("drop_queue", [keys.request(request)], ref, NOW, *by)
        return bytes(answer[0])

    def actions(self, world: World) -> list[str]:
        rows = EnvironmentStore(world.client).audit(ENV, 9, None).rows
        return [row.action for row in rows]

    @pytest.mark.usefixtures("emptied")
    def test_the_first_step_tells(self, world: World) -> None:
        """Whoever dies after it has deleted history."""
        assert self.drop_once(world, "one", "jan", "") == b"more"
        assert self.actions(world) == ["queue.delete"]
        assert self.drop_once(world, "one", "jan", "") == b"more"
        assert [self.drop_once(world, f"{n}", "", "") for n in range(2)] == [b"more", b"dropped"]
        assert self.actions(world) == ["queue.delete"]

    def test_the_last_one_can_be_sent_again(self, world: World) -> None:
        world.cancel(world.push(delay=1_000).job.id)
        assert self.drop_once(world, "one", "jan", "") == b"dropped"
        assert self.drop_once(world, "one", "jan", "") == b"dropped"
        assert self.drop_once(world, "another", "jan", "") == b"absent"
        assert self.actions(world) == ["queue.delete"]
