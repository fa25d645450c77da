"""What the metrics tell is what the queues say, and never falls."""

from __future__ import annotations

from collections import Counter

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.metrics import OTHER, Metrics, MetricsStore, QueueMetrics
from tests.store.desk import Desk
from tests.store.service_desk import ServiceDesk
from tests.store.world import ACTOR, ENV, World


def read(world: World, most: int = 10) -> Metrics:
    return MetricsStore(world.client).read(most)


def queues(world: World, most: int = 10) -> dict[str, QueueMetrics]:
    return {queue.name: queue for queue in read(world, most).queues}


def total(found: dict[str, QueueMetrics]) -> Counter[str]:
    return Counter(
        {
            what: sum(queue.counts.get(what, 0) for queue in found.values())
            for what in {what for queue in found.values() for what in queue.counts}
        }
    )


def complete(world: World, queue: str, times: int = 1) -> None:
    worker = world.worker()
    for _ in range(times):
        world.push(queue)
        worker.settle(worker.claim_one())
    worker.leave()


class TestQueues:
    def test_what_a_queue_does(self, world: World) -> None:
        EnvironmentStore(world.client).found(ENV, "shop", b"sealed", "test")
        worker = world.worker()
        complete(world, "mail", 2)
        for kind, error in ((Kind.FAILED, "http_410: x"), (Kind.RETRY, "timeout: y")):
            world.push()
            worker.settle(worker.claim_one(), kind, error=error, delay=60_000)
        world.push()
        worker.claim_one()
        world.push(delay=5)
        world.queues.pause(ACTOR, "mail")
        (mail,) = read(world).queues
        assert (mail.environment, mail.name, mail.paused) == ("shop", "mail", True)
        assert (mail.waiting, mail.running, mail.awaiting) == (2, 1, 0)
        wanted = {
            "pushed": 6, "completed": 2, "failed": 1, "failed:http_410": 1, "retry:timeout": 1,
            "took:5": 4, "took:sum": 20, "late:5": 4,
        }  # fmt: skip
        assert {what: mail.counts.get(what) for what in wanted} == wanted

    def test_every_push_counts_once(self, world: World) -> None:
        """Created, replaced, beside a running one, dropped there, or purged."""
        worker = world.worker()
        for _ in range(3):
            world.push(key="waits", delay=5)
        world.push(key="runs")
        claim = worker.claim_one()
        for _ in range(2):
            world.push(key="runs")
        worker.settle(claim)
        worker.settle(worker.claim_one())
        world.push(key="drops")
        claim = worker.claim_one()
        world.push(key="drops")
        world.cancel(claim.id)
        worker.settle(claim)
        gone = world.push(delay=5).job.id
        world.queues.purge(ENV, "mail", None, [gone])
        assert queues(world)["mail"].counts["pushed"] == 9

    def test_a_lost_attempt(self, world: World) -> None:
        worker = world.worker()
        world.push()
        worker.claim_one()
        world.kill(worker)
        found = read(world)
        assert (found.queues[0].counts["lost"], found.workers_lost) == (1, 1)
        assert (found.workers, found.slots) == (0, 0)

    def test_jobs_that_await(self, world: World) -> None:
        desk = ServiceDesk(world, world.worker())
        desk.put()
        desk.run()
        desk.start()
        (queue,) = read(world).queues
        assert (queue.running, queue.awaiting) == (1, 1)

    def test_the_scheduler_s_last_round(self, world: World) -> None:
        assert read(world).ticked == 0
        world.later(1_000)
        world.upkeep.tick()
        assert read(world).ticked == world.now

    def test_processes_and_redis(self, world: World) -> None:
        desk = Desk.furnish(world)
        world.worker(7)
        world.worker(5)
        fired = desk.fire()
        found = read(world)
        assert (found.workers, found.slots, found.ready) == (2, 12, len(fired[0]))
        # Those that never fired as well: what begins with 1 is no rise to Prometheus.
        assert found.fired == dict.fromkeys(keys.COLLECTIONS, 0) | {"schedules": len(fired[0])}
        assert found.all_queues == len(found.queues) == 2
        assert found.redis.script_calls > 2
        assert 0 < found.redis.script_seconds < 60
        assert found.redis.memory > 100_000
        assert (found.redis.limit, found.redis.evicted) == (0, 0)


class TestNames:
    def test_while_there_are_few_there_are_no_others(self, world: World) -> None:
        for queue in ("a", "b"):
            complete(world, queue)
        assert sorted(queues(world, 2)) == ["a", "b"]
        world.queues.drop(ACTOR, "b")
        assert sorted(queues(world, 2)) == ["a"]

    def test_the_busiest_are_named(self, world: World) -> None:
        for queue, jobs in (("quiet", 1), ("busy", 9), ("idle", 0), ("steady", 4)):
            world.queues.pause(ACTOR, queue)
            world.queues.resume(ACTOR, queue)
            complete(world, queue, jobs)
        world.later(300_000)  # the ends of a piece count once it's over
        for queue in ("quiet", "busy", "steady"):
            complete(world, queue)
        found = queues(world, 2)
        assert sorted(found) == sorted([OTHER, "busy", "steady"])
        assert found[OTHER].counts["completed"] == 2
        assert found[OTHER].paused is None

    def test_who_was_busy_long_ago_is_not(self, world: World) -> None:
        complete(world, "old", 20)
        world.later(300_000)
        complete(world, "old")
        world.later(48 * 3_600_000)
        complete(world, "new", 2)
        assert sorted(queues(world, 1)) == [OTHER, "new"]

    @pytest.mark.parametrize("dropped", ["a", "b", "c", "d"])
    def test_nothing_falls_whoever_is_named(self, world: World, dropped: str) -> None:
        """Each series alone, and all together by as much as really happened."""
        for queue in ("a", "b", "c", "d"):
            complete(world, queue, 3)
        before = queues(world, 2)
        assert OTHER in before
        for busy in ("c", "d", "a", "b"):
            world.later(300_000)
            complete(world, busy, 12)
            world.later(300_000)
            complete(world, busy)
            after = queues(world, 2)
            self.check(before, after, 13)
            before = after
        world.queues.drop(ACTOR, dropped)
        after = queues(world, 2)
        self.check(before, after, 0)
        assert dropped not in after

    def check(
        self, before: dict[str, QueueMetrics], after: dict[str, QueueMetrics], ended: int
    ) -> None:
        """What a named queue has gained, or `_other`, is what was done; names come and go."""
        gained = Counter[str]()
        for name, queue in after.items():
            if name in before:
                step = Counter(queue.counts)
                step.subtract(before[name].counts)
                assert min(step.values()) >= 0, (name, step)
                gained.update(step)
        came = after.keys() - before.keys()
        assert gained["completed"] <= ended
        assert came or gained["completed"] == ended

    def test_the_gauges_of_the_others(self, world: World) -> None:
        for queue in ("a", "b", "c"):
            world.push(queue, delay=5)
        world.push("c", delay=5)
        found = queues(world, 1)
        assert sum(queue.waiting for queue in found.values()) == 4
        assert sum(queue.running for queue in found.values()) == 0

    def test_awaiting_goes_from_and_to_the_others(self, world: World) -> None:
        desk = ServiceDesk(world)
        desk.push()
        called = desk.start()
        assert queues(world, 1)["mail"].awaiting == 1
        for number in (1, 0):
            complete(world, "busy", 9)
            world.later(300_000)
            complete(world, "busy")
            found = queues(world, 1)
            assert (found[OTHER].awaiting, found["busy"].awaiting) == (number, 0)
            if number:
                desk.finish(called)

    def test_of_two_environments(self, world: World) -> None:
        """A name may be there twice."""
        world.push("mail")
        world.jobs.push("0ther1d0", "mail", [])
        found = read(world)
        assert [queue.name for queue in found.queues] == ["mail", "mail"]


def test_the_others_are_what_the_unnamed_did(world: World) -> None:
    """Whoever was in between without a name, or never had one, or is new."""
    names = ("a", "b", "c", "d")
    for queue in names[:3]:
        complete(world, queue, 2)
    complete(world, "a", 20)
    world.later(300_000)
    complete(world, "a")
    before = queues(world, 1)
    assert "a" in before
    assert before[OTHER].counts["pushed"] == before[OTHER].counts["completed"] == 4
    unnamed = set(names) - before.keys()
    own = {queue: raw(world, queue) for queue in unnamed - {"d"}}
    worker = world.worker()
    complete(world, "d")
    for queue in names:
        complete(world, queue)
        for _ in range(2):
            world.push(queue, key="k", delay=5)
        world.push(queue)
        worker.claim_one()
    after = queues(world, 1)
    gained = Counter(after[OTHER].counts)
    gained.subtract(before[OTHER].counts)
    wanted = Counter[str]()
    for queue in unnamed:
        wanted.update(raw(world, queue))
        wanted.subtract(own.get(queue, {}))
    for what in wanted.keys() - {"jobs", "running", "versions"}:
        assert gained[what] == wanted[what], what
    assert gained["pushed"] == 1 + 3 * (1 + 2 + 1)
    assert (after[OTHER].waiting, after[OTHER].running) == (3, 3)


def test_gauges_come_and_go_with_names(world: World) -> None:
    for queue in ("a", "b", "c"):
        complete(world, queue)
        world.push(queue, delay=86_400_000)
    for busy in ("a", "b", "c", "a"):
        complete(world, busy, 20)
        world.later(300_000)
        complete(world, busy)
        found = queues(world, 1)
        assert {name: queue.waiting for name, queue in found.items()} == {busy: 1, OTHER: 2}


def raw(world: World, queue: str) -> Counter[str]:
    """What a queue has counted, in its own hashes."""
    hashes = world.snapshot().hashes
    fields = ("jobs", "running", "completed", "failed", "cancelled", "versions")
    own = hashes[keys.queue(ENV, queue)]
    found = Counter({what: int(own.get(what, 0)) for what in fields})
    found.update({what: int(n) for what, n in hashes[keys.totals(ENV, queue)].items()})
    return found


def test_the_first_many_cost_the_others_nothing(world: World) -> None:
    """Until metrics are read they are neither named nor among the others."""
    for number in range(203):
        world.push(f"q{number}", delay=5)
    assert world.snapshot().hashes["lq:others"] == {"jobs": "3"}
    found = queues(world, 2)
    assert found[OTHER].waiting == found[OTHER].counts["pushed"] == 201
    assert "lq:fresh" not in world.snapshot().sets
