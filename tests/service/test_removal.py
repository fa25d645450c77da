"""The end of an environment: nothing of it is left, whoever dies over it, and nothing else goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from lambdaqueue import keys, removal
from lambdaqueue.administration import Administration
from lambdaqueue.attempts import Kind
from lambdaqueue.authentication import Authentication
from lambdaqueue.claims import Claim
from lambdaqueue.commands import Idempotency, Push
from lambdaqueue.connection import Scripts
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import Conflict, NotFound, StorageUnavailable
from lambdaqueue.identity import ALL_SCOPES, Actor, Token
from lambdaqueue.job import State
from lambdaqueue.removal import remove_environment
from lambdaqueue.spec import Spec
from lambdaqueue.trust import TrustStore
from tests.operator import prepared
from tests.store.desk import assert_ended
from tests.store.world import TARGET, Hand, ImmediateScripts, World, at_once

BY = "lambdaqueue env (root)"
SPEC = Spec(target=TARGET)


class Tenant:
    """An environment with something of everything that one can have."""

    def __init__(self, world: World, administration: Administration, name: str) -> None:
        self.world = world
        self.name = name
        self.id = administration.create_environment(name, "test").id
        self.actor = Actor(self.id, "test")
        self.token: Token = administration.issue_token(self.actor, "ci", ALL_SCOPES)[0]
        Authentication(world.client).authenticate(self.token.text, "")
        administration.rotate_secret(self.actor)
        administration.change_environment(self.actor, {"retry": None})
        world.queues.configure(self.actor, "only-set", {"timeout": 5_000}, None)
        administration.queue_secret(self.actor, "only-set")
        self._validate()

    def _validate(self) -> None:
        trust = TrustStore(self.world.client)  # type: ignore[arg-type]
        trust._scripts = ImmediateScripts(self.world.scripts)  # type: ignore[assignment]
        at_once(trust.look(self.id, ["a"], "w"))
        at_once(trust.look(self.id, ["b"], "w"))
        at_once(trust.remember_proof(self.id, ["b"], "w", number=0, v1=True))

    def push(self, queue: str = "mail", key: str | None = None, **more: Any) -> str:
        (pushed,) = self.world.jobs.push(self.id, queue, [Push(SPEC, key, **more)])
        return pushed.job.id

    def push_many(self, queue: str, count: int, **more: Any) -> None:
        self.world.jobs.push(self.id, queue, [Push(SPEC, **more)] * count)

    def end(self, queue: str, completed: int, cancelled: int, worker: Hand) -> None:
        """Leave history behind."""
        for number in range(completed):
            self.push(queue, f"k{number % 7}")
            assert worker.settle(worker.claim_one())
        for _ in range(cancelled):
            self.world.cancel(self.push(queue, delay=1_000))

    def live(self, worker: Hand) -> None:
        """Have a past: more history than one step forgets, and a job that was lost."""
        world = self.world
        self.end("mail", 120, 130, worker)
        self.end("a/b.c", 1, 1, worker)
        dying = world.worker()
        self.push("lossy")
        self.claim(dying)
        world.queues.pause(self.actor, "lossy")
        world.kill(dying)
        assert len(world.jobs.waiting(self.id, "lossy", "s", 0, 5)) == 1

    def run(self, worker: Hand) -> list[Claim]:
        """Have two jobs that run, one of them with a successor."""
        for key in ("a", "b"):
            self.push("running", key)
        claims = worker.claim(2)
        assert {(claim.environment, claim.queue) for claim in claims} == {(self.id, "running")}
        self.push("running", "b")
        return claims

    def fill(self) -> None:
        """Have jobs of every level, and more that wait and are ready than one step moves."""
        world = self.world
        for level in range(10):
            self.push("levels", f"k{level}", priority=level, delay=60_000 + level)
        world.jobs.push(self.id, "one", [Push(SPEC, "i")], Idempotency("key", "print"))
        self.push_many("big", 516)
        world.queues.pause(self.actor, "paused")
        self.push_many("paused", 20)
        assert len(world.jobs.active(self.id, "big")) == 16

    def remove(self, sleep: Callable[[float], None] = lambda seconds: None) -> list[str]:
        return list(remove_environment(self.world.client, self.name, BY, sleep))

    def claim(self, worker: Hand) -> Claim:
        claim = worker.claim_one()
        assert claim.environment == self.id
        return claim

    @property
    def left(self) -> list[str]:
        """All keys that name it."""
        found = self.world.client.scan_iter("*", count=10_000)
        return sorted(key.decode() for key in found if self.id in key.decode())

    def assert_gone(self) -> None:
        """Nothing is left but the tombstones in the line; once they're popped, nothing at all."""
        world = self.world
        mine = keys.environment(self.id)
        assert [key for key in self.left if not key.startswith("rq:job:")] == [mine]
        worker = world.worker()
        while world.line:
            assert self.id not in {claim.environment for claim in worker.claim()}
        assert_ended(world, self.id)
        found = snapshot(world)
        shared = ("wake", "ready", "in_line", "tokens", "environments", "names")
        for key in (f"lq:{name}" for name in shared):
            assert self.id not in repr(found.get(key)), key
        assert EnvironmentStore(world.client).id_of(self.name) is None


def meanwhile(act: Callable[[], object]) -> Callable[[float], None]:
    """Do something while attempts are waited for."""

    def sleep(seconds: float) -> None:
        act()

    return sleep


@pytest.fixture
def administration(redis_url: str) -> Administration:
    return prepared(redis_url)


@pytest.fixture
def world(redis_url: str, administration: Administration) -> Iterator[World]:
    with redis.Redis.from_url(redis_url) as client:
        world = World(client)
        yield world
        world.close()


@pytest.fixture
def tenant(world: World, administration: Administration) -> Tenant:
    return Tenant(world, administration, "shop")


class TestWhatGoes:
    def test_all_of_it(self, world: World, administration: Administration, tenant: Tenant) -> None:
        other = Tenant(world, administration, "other")
        worker = world.worker(slots=1_000)
        for each in (other, tenant):
            each.live(worker)
        running = [each.run(worker) for each in (other, tenant)][1]
        for each in (other, tenant):
            each.fill()
        before = {key: value for key, value in snapshot(world).items() if tenant.id not in key}

        def settle() -> None:
            """One succeeds, one would be tried again."""
            assert worker.settle(running.pop()) if len(running) > 1 else worker.retry(running.pop())

        told = tenant.remove(meanwhile(settle))
        assert running == []
        assert (told[0], told[-1]) == ("tokens revoked", "environment removed")
        assert sorted(told[1:-1]) == [
            f"queue {queue} removed, {count} jobs cancelled"
            for queue, count in [
                ("a/b.c", 0), ("big", 516), ("levels", 10), ("lossy", 1), ("mail", 0), ("one", 1),
                ("only-set", 0), ("paused", 20), ("running", 2),
            ]
        ]  # fmt: skip
        after = snapshot(world)
        for key in before:
            if key.startswith((f"lq:{other.id}:", "lq:1:")):
                assert after[key] == before[key], key
        assert administration.environment_named("other").id == other.id
        assert Authentication(world.client).authenticate(other.token.text, "") is not None
        tenant.assert_gone()

    def test_the_first_one_stays(self, world: World, administration: Administration) -> None:
        before = snapshot(world)
        with pytest.raises(Conflict, match="made again at every start"):
            list(remove_environment(world.client, "default", BY))
        assert snapshot(world) == before

    def test_what_is_not_there(self, world: World, tenant: Tenant) -> None:
        before = snapshot(world)
        for name in ("unknown", tenant.id, "", "*", "sho", "shop "):
            with pytest.raises(NotFound):
                list(remove_environment(world.client, name, BY))
        assert snapshot(world) == before

    def test_its_name_may_be_used_again(
        self, administration: Administration, tenant: Tenant
    ) -> None:
        tenant.push()
        tenant.remove()
        made = administration.create_environment("shop", "test")
        assert made.id != tenant.id
        assert administration.tokens(made.id, 5, None).rows == ()

    def test_by_the_administration(self, administration: Administration, tenant: Tenant) -> None:
        steps = administration.remove_environment("shop", BY)
        assert next(steps) == "tokens revoked"
        assert list(steps)[-1] == "environment removed"
        tenant.assert_gone()


class TestMeanwhile:
    def test_its_tokens_are_of_no_use_from_the_first_step_on(
        self, world: World, administration: Administration, tenant: Tenant
    ) -> None:
        steps = remove_environment(world.client, "shop", BY)
        assert next(steps) == "tokens revoked"
        assert Authentication(world.client).authenticate(tenant.token.text, "") is None
        with pytest.raises(NotFound):
            administration.issue_token(tenant.actor, "late", ALL_SCOPES)
        with pytest.raises(NotFound):
            administration.secret(tenant.actor)
        with pytest.raises(Conflict):
            administration.create_environment("shop", "test")

    @pytest.mark.parametrize("ended", [False, True])
    def test_whoever_was_let_in_before_comes_too_late(
        self, world: World, administration: Administration, tenant: Tenant, ended: bool
    ) -> None:
        """Its token was good at the start of the request; the body took its time."""
        steps = remove_environment(world.client, "shop", BY)
        next(steps)
        if ended:
            assert list(steps)[-1] == "environment removed"
        before = snapshot(world)
        late: list[Callable[[], object]] = [
            lambda: tenant.push("only-set"),
            lambda: tenant.push("new", "k"),
            lambda: world.queues.configure(tenant.actor, "only-set", {"timeout": 1_000}, None),
            lambda: world.queues.configure(tenant.actor, "new", {}, None),
            lambda: world.queues.resume(tenant.actor, "only-set"),
            lambda: world.queues.pause(tenant.actor, "new"),
            lambda: administration.issue_token(tenant.actor, "late", ALL_SCOPES),
            lambda: administration.change_environment(tenant.actor, {"retry": None}),
            lambda: administration.rotate_secret(tenant.actor, 0),
            lambda: administration.secret(tenant.actor),
            lambda: administration.queue_secret(tenant.actor, "new"),
        ]
        for act in late:
            with pytest.raises(NotFound):
                act()
        assert snapshot(world) == before
        if not ended:
            list(steps)
        tenant.assert_gone()

    def test_an_attempt_that_takes_too_long_is_told(
        self, world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(removal, "PATIENCE", 0.0)
        worker = world.worker()
        tenant.push()
        claim = tenant.claim(worker)
        with pytest.raises(Conflict, match="1 attempts of queue mail are still out"):
            tenant.remove()
        assert world.job(claim.id).state is State.RUNNING
        assert worker.retry(claim)
        assert tenant.remove()[-1] == "environment removed"
        tenant.assert_gone()

    @pytest.mark.parametrize("kind", list(Kind))
    def test_no_attempt_follows_one_that_is_out(
        self, world: World, tenant: Tenant, kind: Kind
    ) -> None:
        worker = world.worker()
        tenant.push(key="k")
        claim = tenant.claim(worker)
        tenant.push(key="k")  # a successor, which waits beside it
        tenant.remove(meanwhile(lambda: worker.settle(claim, kind, error="x: y")))
        tenant.assert_gone()

    @pytest.mark.parametrize("kind", list(Kind))
    def test_an_outcome_that_comes_too_late_brings_nothing_back(
        self, world: World, tenant: Tenant, kind: Kind
    ) -> None:
        """Its worker was frozen, so it was declared dead, and the environment went."""
        frozen, other = world.worker(), world.worker()
        tenant.push(key="k")
        claim = tenant.claim(frozen)
        tenant.remove(meanwhile(lambda: world.kill(frozen)))
        before = snapshot(world).keys()
        assert not frozen.settle(claim, kind, error="x: y")
        assert snapshot(world).keys() == before
        assert other.claim() == []
        tenant.assert_gone()

    def test_no_duty_of_the_scheduler_brings_anything_back(
        self, world: World, tenant: Tenant
    ) -> None:
        worker = world.worker()
        refs = [keys.queue_ref(tenant.id, queue) for queue in ("mail", "only-set", "never")]
        for _ in range(3):
            tenant.push()
        tenant.end("mail", 0, 3, worker)
        tenant.remove()
        before = tenant.left
        world.tick_through(2)
        world.upkeep.stir(refs)
        for ref in refs:
            assert world.upkeep.inspect(ref) == []
            for kind in "cf":
                world.upkeep.trim(ref, kind, world.now)
        for environment in world.upkeep.environments():
            world.upkeep.limit_history(environment, 5)
        world.upkeep.sweep()
        world.upkeep.reclaim()
        assert tenant.left == before
        tenant.assert_gone()

    @pytest.mark.parametrize("number", range(4))
    def test_by_two_at_once(self, world: World, tenant: Tenant, number: int) -> None:
        """Whoever is the slower may find nothing to do any more; the end is the same."""
        for queue in ("a", "b", "c"):
            tenant.push_many(queue, 20)
        ended: list[str] = []
        start = threading.Barrier(2)

        def act() -> None:
            start.wait()
            try:
                ended.append(tenant.remove()[-1])
            except (NotFound, Conflict):
                ended.append("too late")

        threads = [threading.Thread(target=act) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert "environment removed" in ended
        tenant.assert_gone()

    def test_on_a_full_redis(self, world: World, tenant: Tenant) -> None:
        """It may be just what the operator makes room with."""
        worker = world.worker()
        tenant.end("mail", 3, 3, worker)
        tenant.push_many("mail", 30)
        tenant.push("later", delay=1_000)
        world.client.config_set("maxmemory", 1)
        try:
            assert tenant.remove()[-1] == "environment removed"
            tenant.assert_gone()
        finally:
            world.client.config_set("maxmemory", 0)


class Killed(BaseException):
    """Raised where a process is killed."""


class TestKilled:
    """At every single step; whoever calls it again gets to the end."""

    @pytest.mark.parametrize("lost", [False, True], ids=["before", "after"])
    def test_and_called_again(
        self,
        world: World,
        administration: Administration,
        monkeypatch: pytest.MonkeyPatch,
        lost: bool,
    ) -> None:
        steps = 0
        while self.dies_at(steps, world, administration, monkeypatch, lost):
            steps += 1
        assert steps > 15

    def dies_at(
        self,
        step: int,
        world: World,
        administration: Administration,
        monkeypatch: pytest.MonkeyPatch,
        lost: bool,
    ) -> bool:
        """Return whether there was such a step."""
        tenant = Tenant(world, administration, f"shop{step}")
        tenant.end("mail", 1, 1, world.worker())
        tenant.push("mail", "k")
        tenant.push("later", delay=1_000)
        left, died = [step], []

        def mortal(act: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **more: Any) -> Any:
                left[0] -= 1
                if left[0] == -1:
                    died.append(True)
                    if lost:
                        act(*args, **more)
                    raise Killed
                return act(*args, **more)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(Scripts, "run", mortal(Scripts.run))
            patch.setattr(world.client, "execute_command", mortal(world.client.execute_command))
            try:
                tenant.remove()
            except Killed:
                assert died, "it was killed by this test"
        if died:
            finish(tenant)
        tenant.assert_gone()
        return bool(died)

    @pytest.mark.parametrize("script", ["close_environment", "configure", "cancel", "drop_queue"])
    def test_a_lost_answer_is_no_error(
        self, world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, script: str
    ) -> None:
        """The client sends the call again then."""
        tenant.push()
        run = Scripts.run

        def twice(self: Scripts, name: str, *args: Any) -> Any:
            if name == script:
                run(self, name, *args)
            return run(self, name, *args)

        monkeypatch.setattr(Scripts, "run", twice)
        assert tenant.remove()[-1] == "environment removed"
        tenant.assert_gone()

    def test_a_redis_that_goes_away(
        self, world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tenant.push()
        steps = remove_environment(world.client, "shop", BY, lambda _: None)
        next(steps)
        with monkeypatch.context() as patch:

            def away(*_: object) -> None:
                raise redis.ConnectionError("gone")

            patch.setattr(Scripts, "_call", away)
            with pytest.raises(StorageUnavailable):
                next(steps)
        assert tenant.remove()[-1] == "environment removed"
        tenant.assert_gone()


def finish(tenant: Tenant) -> None:
    """Call it again; it may be that only its answer was missing."""
    if EnvironmentStore(tenant.world.client).id_of(tenant.name) is None:
        return
    assert tenant.remove()[-1] == "environment removed"


def snapshot(world: World) -> dict[str, object]:
    """Return all that stands in Redis by key, lifetimes aside."""
    taken = world.snapshot()
    kinds: list[dict[str, Any]] = [
        dict(taken.strings), dict(taken.hashes), dict(taken.lists), dict(taken.sets),
        dict(taken.zsets), dict(taken.streams),
    ]  # fmt: skip
    return {key: value for kind in kinds for key, value in kind.items()}
