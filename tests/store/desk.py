"""A world in which somebody has tokens and secrets, and one call of every script in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lambdaqueue import keys
from lambdaqueue.account import Role, Session
from lambdaqueue.accounts import AccountStore, Known
from lambdaqueue.alerts import AlertStore
from lambdaqueue.attempts import Kind
from lambdaqueue.claims import Claim
from lambdaqueue.commands import Idempotency, Push
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.identity import Scope, TokenInfo
from lambdaqueue.job import State
from lambdaqueue.metrics import MetricsStore
from lambdaqueue.rate import FlowLimits
from lambdaqueue.schedule import Recurrence, Round, Schedule, plan
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.spec import Spec
from lambdaqueue.survey import SurveyStore
from lambdaqueue.tokens import TokenStore
from lambdaqueue.trust import TrustStore
from tests.store.service_desk import Called, ServiceDesk
from tests.store.world import (
    ACTOR,
    AUTHOR,
    ENV,
    NOW,
    TARGET,
    Hand,
    ImmediateScripts,
    World,
    at_once,
)

__all__ = [
    "OTHER",
    "RUN",
    "Desk",
    "assert_ended",
    "everything",
    "full",
    "schedule",
    "token",
]

OTHER = "0ther1d0"
"""An environment that the tests may end."""

RUN = NOW - 60_000
"""When the desk's schedule is due: a minute ago."""


@dataclass(frozen=True)
class Desk:
    """A world with an environment, a token of it and a queue, and the stores of such things."""

    world: World
    tokens: TokenStore
    environments: EnvironmentStore
    trust: TrustStore
    schedules: ScheduleStore

    @classmethod
    def furnish(cls, world: World) -> Desk:
        desk = cls(
            world,
            TokenStore(world.client, NOW),
            EnvironmentStore(world.client, NOW),
            TrustStore(world.client),  # type: ignore[arg-type]
            ScheduleStore(world.client, NOW),
        )
        desk.trust._scripts = ImmediateScripts(world.scripts)  # type: ignore[assignment]
        desk.environments.found(ENV, "default", b"sealed", "test")
        desk.tokens.issue(ACTOR, token("known"))
        world.queues.pause(ACTOR, "set")
        desk.schedules.put(schedule("due", RUN), 0)
        return desk

    def use(self) -> None:
        found = self.tokens.find(token("known").id)
        assert found is not None
        self.tokens.note_use(found)

    def due(self) -> Round:
        (found,) = self.schedules.due(1).schedules
        return plan(found, NOW, 0.5)

    def fire(self) -> list[list[str]]:
        return self.schedules.fire([self.due()])

    def run(self) -> str | None:
        found = self.schedules.read(ENV, "due")
        assert found is not None
        return self.schedules.run(found, NOW)

    def reseal(self) -> None:
        key, name, before = next(self.environments.places(ENV))
        self.environments.reseal(key, name, before, b"anew " + before)

    def end(self) -> None:
        self.environments.found(OTHER, "other", b"s", "test")
        self.environments.close(OTHER)
        self.environments.erase(OTHER, "other")


def assert_ended(world: World, environment: str) -> None:
    """Nothing of it is left; for a day who comes late is told that it has ended."""
    mine = keys.environment(environment)
    found = world.client.scan_iter(f"*{environment}*", count=10_000)
    assert [key.decode() for key in found] == [mine]
    assert world.client.hgetall(mine) == {b"closed": b"1"}
    assert 0 < world.client.ttl(mine) <= 86_400


def token(name: str, digest: str = "0" * 64) -> TokenInfo:
    return TokenInfo(f"{name:-<8}"[:8], name, frozenset({Scope.PUSH}), NOW, digest=digest)


def schedule(schedule_id: str, next_run: int | None, **recurrence: object) -> Schedule:
    """A schedule that runs every minute, stored first at its first run; its key is its id."""
    return Schedule(
        id=schedule_id,
        environment=ENV,
        queue="clock",
        spec=Spec(payload=b"{}", target=TARGET, schedule_id=schedule_id),
        recurrence=Recurrence("every(1m)", **recurrence),  # type: ignore[arg-type]
        created=RUN,
        anchor=RUN,
        key=schedule_id,
        next_run=next_run,
    )


def asked_to_rest(worker: Hand) -> None:
    """Let the endpoint of a queue ask for it."""
    (claim,) = (claim for claim in worker.claim() if claim.queue == "resting")
    worker.settle(claim, Kind.RETRY, delay=5_000, error="http_503: no", asked=5_000)


def everything(world: World, worker: Hand) -> list[Callable[[], object]]:
    """One call of every script."""
    ref = keys.queue_ref(ENV, "mail")
    job = world.push(delay=1_000).job.id
    world.push()
    desk = Desk.furnish(world)
    trust, pair = desk.trust, ["b", "a"]
    services = ServiceDesk(world, worker)
    held: list[Claim] = []
    called: list[Called] = []
    return [
        world.push,
        lambda: world.push(key="k", idempotency=Idempotency("i", "f")),
        lambda: world.job(job),
        lambda: world.change(job),
        lambda: world.jobs.run_now(job, ENV, None),
        lambda: world.cancel(job),
        lambda: world.jobs.active(ENV, "mail"),
        lambda: world.queues.pause(ACTOR, "mail"),
        lambda: world.queues.resume(ACTOR, "mail"),
        world.upkeep.tick,
        world.upkeep.sweep,
        world.upkeep.reclaim,
        lambda: world.upkeep.stir([ref]),
        lambda: world.upkeep.trim(ref, "c", NOW),
        lambda: world.upkeep.inspect(ref),
        lambda: world.upkeep.limit_history(ENV, 1_000),
        worker.beat,
        lambda: held.extend(worker.claim()),
        lambda: [worker.settle(claim) for claim in held],
        services.put,
        services.run,
        lambda: called.append(services.start()),
        lambda: services.beat(called[0]),
        services.expire,
        lambda: services.finish(called[0]),
        lambda: services.executions.retry(ENV, called[0].name),
        lambda: world.jobs.replay(
            ACTOR, "lanes", [Push(Spec(target=TARGET))], "f1-0", idempotency=None
        ),
        lambda: world.queues.forget_entries(ENV, "mail", State.COMPLETED, ["c1-0"]),
        lambda: world.queues.drop(ACTOR, "mail"),
        lambda: world.queues.configure(ACTOR, "lanes", {"flow": FlowLimits(concurrency=1)}, None),
        lambda: world.jobs.push(ENV, "lanes", [Push(Spec(target=TARGET, flow_key="f"))] * 2),
        lambda: world.queues.purge(ENV, "lanes", None, world.jobs.active(ENV, "lanes")),
        lambda: world.push("resting"),
        lambda: asked_to_rest(worker),
        lambda: world.push("resting"),
        worker.claim,
        lambda: MetricsStore(world.client).read(1),
        lambda: list(SurveyStore(world.client).glances(ENV)),
        lambda: SurveyStore(world.client).with_key(ENV, "k", 1),
        lambda: AlertStore(world.client, NOW).tell("x", Spec(target=TARGET), over=False),
        worker.leave,
        desk.use,
        desk.reseal,
        lambda: desk.tokens.refuse("192.0.2.1"),
        lambda: desk.tokens.bootstrap(ENV, token("boot")),
        lambda: desk.tokens.revoke(ACTOR, token("known").id),
        lambda: desk.environments.change(ACTOR, {"retry": "{}"}),
        lambda: desk.environments.rotate(ACTOR, b"second", 5),
        lambda: desk.environments.own_secret(ENV, "set", b"mine"),
        lambda: desk.environments.note(ACTOR, "a", "b"),
        lambda: at_once(trust.look(ENV, pair, "w")),
        lambda: at_once(trust.remember_refusal(ENV, pair, "w", "x")),
        lambda: desk.schedules.read(ENV, "due"),
        desk.fire,
        lambda: desk.schedules.drop(ENV, "due"),
        *people(world),
        desk.end,
    ]


def people(world: World) -> list[Callable[[], object]]:
    """One call of every script of accounts."""
    store = AccountStore(world.client, NOW)
    made: list[str] = []
    digest, roles = "d" * 64, {"*": Role.ADMIN, ENV: Role.VIEWER}

    def known() -> Known:
        found = store.known("jan")
        assert found is not None
        return found

    def session() -> Session:
        found = store.session(digest, touch=True)
        assert found is not None
        return found

    return [
        lambda: store.offer("l" * 64, again=True),
        lambda: made.append(str(store.make(AUTHOR, "jan", "hashed", roles))),
        lambda: store.admit("jan", "192.0.2.1"),
        lambda: store.admit_stranger("jan", "192.0.2.1"),
        lambda: store.open(known(), digest, "csrf", ("192.0.2.1", "192.0.2.1")),
        lambda: store.prove(session(), "192.0.2.1"),
        lambda: store.close(session(), "192.0.2.1"),
        lambda: store.set_role(AUTHOR, made[0], ENV, None),
        lambda: store.drop(AUTHOR, made[0]),
    ]


@contextmanager
def full(world: World) -> Iterator[None]:
    """Leave Redis no memory meanwhile."""
    world.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        world.client.config_set("maxmemory", 0)
