"""Anything in any order: limits of every kind come and go while jobs with flow keys are pushed,
claimed, lost, replaced and purged. Counters always agree with the jobs, and all jobs end."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from lambdaqueue.attempts import Kind
from lambdaqueue.claims import Claim
from lambdaqueue.rate import Breaker, FlowLimits, Rate
from tests.store.lines import check, push, set_up
from tests.store.world import ACTOR, ENV, TARGET, Hand, World

STEPS = 250
TARGETS = (TARGET, f"{TARGET}other", f"{TARGET}other?page=2", None)


class Storm:
    """One world and everything that may happen in it, by chance."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.workers = [world.worker(10), world.worker(10)]
        self.out: list[tuple[Hand, Claim]] = []
        set_up(world, target=f"{TARGET}own")
        self.acts: Sequence[tuple[int, Callable[[], object]]] = (
            (30, self.push), (30, self.claim), (30, self.end), (10, self.pass_time),
            (4, self.configure), (3, self.cancel), (3, self.change), (2, self.run_now),
            (1, self.purge), (1, self.kill), (1, self.pause), (1, self.resume), (1, self.sweep),
        )  # fmt: skip

    def blow(self) -> None:
        """Do STEPS things, and look at all there is after each few."""
        weights = [weight for weight, _ in self.acts]
        for step in range(STEPS):
            ((_, act),) = self.chance.choices(self.acts, weights)
            act()
            if step % 10 == 0:
                check(self.world)

    def calm(self) -> None:
        """Let time pass, and the third attempt of each succeed, until nothing is left."""
        self.resume()
        for _ in range(3_000):
            self.claim()
            for hand, claim in self.out:
                if claim.attempt < 3 and self.chance.random() < 0.3:
                    hand.retry(claim, delay=700, error="http_404: not yet")
                else:
                    hand.settle(claim)
            self.out = []
            if self.world.client.hget("lq:1:queue:mail", "jobs") in (None, b"0"):
                return
            self.world.later(500)
            self.world.upkeep.tick()
            for hand in self.workers:
                hand.beat()
        left = check(self.world)
        raise AssertionError(f"stuck: {left.jobs}, {left.hashes['lq:1:queue:mail']}")

    # What may happen

    def push(self) -> None:
        for _ in range(self.chance.choice([1, 1, 1, 12])):
            key = self.chance.choice([None, None, "k1", "k2", "k3"])
            flow = self.chance.choice([None, "a", "a", "b", "c"])
            push(
                self.world, flow, key=key, priority=self.chance.choice([0, 0, 9]),
                delay=self.chance.choice([None, None, 700]),
                max_age=self.chance.choice([None, None, 3_000]),
                target=self.chance.choice(TARGETS),
            )  # fmt: skip

    def claim(self) -> None:
        hand = self.chance.choice(self.workers)
        self.out += [(hand, claim) for claim in hand.claim(self.chance.randint(1, 6))]

    def end(self) -> None:
        if not self.out:
            return
        hand, claim = self.out.pop(self.chance.randrange(len(self.out)))
        kind = self.chance.choice([*[Kind.COMPLETED] * 4, *Kind])
        error = "http_500: no" if kind in (Kind.RETRY, Kind.FAILED) else ""
        delay = self.chance.choice([0, 300, 2_000]) if kind in (Kind.RETRY, Kind.UNSENT) else 0
        asked = self.chance.choice([None, None, None, 800])
        hand.settle(claim, kind, error=error, delay=delay, asked=asked)

    def pass_time(self) -> None:
        self.world.later(self.chance.choice([1, 50, 400, 1_000]))
        for hand in self.workers:
            hand.beat()
        self.world.upkeep.tick()

    def configure(self) -> None:
        rate = self.chance.choice([None, None, Rate(7, 1_000), Rate(20, 1_000, 4)])
        flow = self.chance.choice(
            [None, FlowLimits(1), FlowLimits(2, rate), FlowLimits(ordered=True),
             FlowLimits(rate=Rate(3, 1_000), ordered=True)]
        )  # fmt: skip
        set_up(
            self.world, flow=flow, ordered=self.chance.random() < 0.3, rate=rate,
            concurrency=self.chance.choice([None, None, 1, 3]),
            breaker=self.chance.choice([None, Breaker(0.5, 5_000)]),
        )  # fmt: skip

    def some_job(self) -> str | None:
        jobs = sorted(self.world.snapshot().jobs)
        return self.chance.choice(jobs) if jobs else None

    def cancel(self) -> None:
        if job := self.some_job():
            self.world.cancel(job)

    def change(self) -> None:
        if job := self.some_job():
            found = self.world.job(job)
            spec = replace(
                found.spec,
                flow_key=self.chance.choice([None, "a", "d"]),
                target=self.chance.choice(TARGETS),
            )
            when = self.chance.choice([None, 0, 600])
            self.world.jobs.change(found, spec, delay=when, on=None, priority=found.priority)

    def run_now(self) -> None:
        job = self.some_job()
        if job and self.world.snapshot().jobs[job]["state"] != "RUNNING":
            self.world.jobs.run_now(job, ENV, None)

    def purge(self) -> None:
        jobs = sorted(self.world.snapshot().jobs)
        self.world.queues.purge(ENV, "mail", None, self.chance.sample(jobs, len(jobs) // 3))

    def kill(self) -> None:
        hand = self.workers.pop(0)
        self.out = [(other, claim) for other, claim in self.out if other is not hand]
        self.world.kill(hand)
        self.workers.append(self.world.worker(10))

    def pause(self) -> None:
        self.world.queues.pause(ACTOR, "mail")

    def resume(self) -> None:
        self.world.queues.resume(ACTOR, "mail")

    def sweep(self) -> None:
        self.world.upkeep.sweep()


@pytest.mark.parametrize("seed", range(14))
def test_all_that_is_pushed_ends(world: World, seed: int) -> None:
    storm = Storm(world, seed)
    storm.blow()
    check(world)
    storm.calm()
    check(world)
    assert world.snapshot().jobs == {}
