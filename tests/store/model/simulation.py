"""Clients, workers, a scheduler and operators that do random things to one Redis."""

from __future__ import annotations

from lambdaqueue import keys
from tests.store.model.clients import Clients
from tests.store.model.endpoints import FINALS, Endpoints
from tests.store.model.operators import Operators
from tests.store.model.services import Owners
from tests.store.model.stage import ALL_QUEUES, Actor
from tests.store.model.stock import INTERMEDIATE, StockCrew
from tests.store.snapshot import take

__all__ = ["Simulation"]

ROUNDS = 500
"""Seconds of the model's time in which all must have ended."""

SHORT = 1_000
"""ms between heartbeats: who shall send them so often may fall silent at the end."""

MOST_TRIMMED = 100
FAR = 99_999_999_999_999

AS_ENTRIES = (":history:", ":ended", ":latest:", ":executions", ":retried", keys.deadlines)
"""Parts of the names of what lives as long as entries of the history do."""

USUAL = {
    "push": 40, "change": 8, "cancel": 8, "run_now": 5,
    "pause": 2, "resume": 8, "configure": 4,
    "claim": 50, "settle": 40, "beat": 15, "join": 8,
    "die": 2, "freeze": 2, "thaw": 4, "leave": 2, "haunt": 4,
    "pop": 5, "start_popped": 8, "settle_stock": 6, "lose_popper": 2,
    "tick": 30, "reclaim": 10, "sweep": 6, "stir": 2, "trim": 2,
    "invoke": 40, "heartbeat": 35, "finish": 15, "race": 12, "look": 20, "end_overdue": 5,
    "define": 4, "drop_service": 1, "fire": 8, "fire_late": 2, "run_service": 8, "try_out": 1,
    "repeat": 4,
    "flush_scripts": 1, "empty_line": 1, "suspend": 1, "unsuspend": 6, "echo": 6, "silence": 4,
}  # fmt: skip
"""What may happen, and how often beside the rest."""

MOODS: tuple[dict[str, int], ...] = (
    {},
    {"push": 120, "claim": 90, "settle": 90},
    {"cancel": 25, "change": 25, "run_now": 15, "claim": 80, "settle": 15},
    {
        "die": 30,
        "join": 60,
        "silence": 50,
        "reclaim": 80,
        "settle": 8,
        "push": 8,
        "claim": 90,
        "invoke": 90,
        "finish": 30,
    },
    {"freeze": 15, "thaw": 12, "haunt": 15, "join": 25, "silence": 20, "reclaim": 30, "echo": 20},
    {"pop": 40, "start_popped": 50, "settle_stock": 40, "lose_popper": 12, "sweep": 20},
    {"pause": 15, "resume": 20, "suspend": 5, "empty_line": 6, "sweep": 20, "configure": 10},
)
"""Seeds are busy, fickle, deadly, frozen, full of stock workers or in the hands of operators,"""

EXECUTION_MOODS: tuple[dict[str, int], ...] = (
    {
        "define": 15,
        "drop_service": 6,
        "run_service": 40,
        "fire": 25,
        "repeat": 20,
        "push": 10,
        "invoke": 90,
        "finish": 30,
        "configure": 8,
    },
    {
        "claim": 90,
        "invoke": 50,
        "heartbeat": 80,
        "race": 25,
        "freeze": 8,
        "join": 25,
        "settle": 60,
        "echo": 25,
    },
    {"invoke": 90, "silence": 15, "look": 25, "end_overdue": 10, "heartbeat": 60, "settle": 90},
)
"""or they are about service jobs, callbacks that come in between, or silence."""


class Simulation(Clients, StockCrew, Endpoints, Owners, Operators):
    """`run` goes on until the steps are done, `drain` until all has ended."""

    def run(self, steps: int) -> None:
        """Do `steps` random things, in a mood that each seed has of its own."""
        weights = {**USUAL, **self.chance.choice((*MOODS, *EXECUTION_MOODS * 2))}
        actions = [getattr(self, name) for name in weights]
        for _ in range(2):
            self.step(self.join)
        for _ in range(steps):
            self.pass_time()
            self.step(self.chance.choices(actions, list(weights.values()))[0])

    def silence(self) -> str:
        """The scheduler goes on; of the others only some get a turn."""
        lively = [actor for actor in self.workers if self.chance.random() < 0.7]
        rounds = self.chance.choice((2, 12, 12, 40))
        for _ in range(rounds):
            self.now += 1_000
            self.step(self.tick)
            for actor in lively:
                if not actor.frozen and actor in self.workers:
                    self._beat(actor)
        return f"{rounds} s"

    def drain(self) -> None:
        """Let healthy workers and a scheduler run until every job has ended."""
        for environment, name in ALL_QUEUES:
            if keys.queue_ref(environment, name) in self.model.queues:
                self.step(lambda e=environment, n=name: self._pause(e, n, False))  # type: ignore[misc]
        for actor in self.workers:
            actor.frozen = False
        self.step(self.unsuspend)
        for _ in range(3):
            self.step(self.join)
        for _ in range(ROUNDS):
            if not self.model.jobs and not self.before.line and not self.model.lease_is_out():
                break
            self.drain_once()
        assert not self.model.jobs, f"stuck: {list(self.model.jobs.values())}"
        for _ in range(2):  # the last entry that was popped and never claimed
            self.step(self.sweep)
        self.nothing_is_left()
        self.step(self.forget_all)
        self.nothing_is_listed()

    def drain_once(self) -> None:
        busy = any(actor.claims for actor in self.workers) or self.before.line
        head = min(self.before.zsets.get("lq:wake", {}).values(), default=None)
        if not busy and head is not None and head > self.now + 60_000:
            self.now = int(head)
        self.now += 1_000
        self.step(self.tick)
        self.step(self.reclaim)
        self.step(self.sweep)
        if any(job.course.awaiting is not None for job in self.model.jobs.values()):
            self.step(self.end_or_wait)
        for actor in list(self.workers):
            if actor in self.workers:
                self.step(lambda a=actor: self._claim(a, max(0, a.slots - len(a.claims))))  # type: ignore[misc]
            if actor in self.workers and actor.claims:
                self.step(lambda a=actor: self._deliver_all(a))  # type: ignore[misc]

    def _deliver_all(self, actor: Actor) -> str:
        for claim in actor.claims:
            if claim.spec.terms is not None and claim.token not in self.invoked:
                self._invoke(actor, claim)
        return self._settle(actor, list(actor.claims), finish=True)

    def end_or_wait(self) -> str:
        """Services end what they began, or are silent and leave it to the clock."""
        told = []
        for token in list(self.tokens):
            job = self.model.jobs.get(token.execution)
            if job is None or job.course.callback != token.digest or job.course.awaiting is None:
                continue
            if (job.course.beat or 0) > SHORT or self.chance.random() < 0.7:
                told.append(self._finish(token, self.chance.choice(FINALS)))
        self.look()
        return str(told)

    def forget_all(self) -> str:
        """Trim all histories, and let the scheduler look where deadlines once were."""
        for environment, name in ALL_QUEUES:
            for kind in "cf":
                key = keys.history(environment, name, kind)
                while size := len(self.histories.streams.get(key, [])):
                    most = min(size, MOST_TRIMMED)
                    trimmed = self.upkeep.trim(keys.queue_ref(environment, name), kind, FAR)
                    assert trimmed == most, f"{key}: {trimmed} trimmed, not {most}"
                    self.histories.trimmed(key, trimmed)
        self.now = max([self.now, *map(int, self.before.zsets.get(keys.deadlines, {}).values())])
        self.tell_time()
        self.look()
        return ""

    def nothing_is_listed(self) -> None:
        """When the histories are empty as well, nothing names a job that was."""
        rest = take(self.reader)
        named = {name for name in rest.lifetimes if any(part in name for part in AS_ENTRIES)}
        assert named <= {name for name, stream in rest.streams.items() if not stream}, named

    def nothing_is_left(self) -> None:
        """Ended jobs leave nothing but their history."""
        allowed = (
            *AS_ENTRIES, ":env", ":audit", ":queues", ":queue:", ":services", ":schedule:",
            ":last_success:", ":totals:", ":pieces:", keys.due_schedules,
        )  # fmt: skip
        for entry in self.abandoned | {actor.entry for actor in self.stock}:
            self.client.delete(f"rq:job:{entry}")
        rest = take(self.reader)
        for name in rest.lifetimes:
            fine = (
                name
                in (
                    "lq:seq",
                    "lq:workers",
                    "lq:totals",
                    "lq:busiest",
                    "lq:fresh",
                    "rq:queues",
                    INTERMEDIATE,
                )
                or name.startswith("lq:worker:")
                or ":idempotent:" in name
                or any(part in name for part in allowed)
            )
            assert fine, f"{name} is left"
