"""What callers of the API do: push, change, cancel, run, pause, configure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdaqueue import ids, keys
from lambdaqueue.commands import Idempotency, Push
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.execution import Terms
from lambdaqueue.identity import Actor
from lambdaqueue.job import Place, State
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Spec
from lambdaqueue.store import TargetMissing, VersionChanged
from tests.store.model.records import Order
from tests.store.model.stage import ALL_QUEUES, QUEUES, SERVICE_QUEUES, Stage

__all__ = ["Clients"]

KEYS = ("one", "two", "it's ]] {}")


class Clients(Stage):
    """Requests at random, each with what the model says of its answer."""

    def push(self) -> str:
        environment, queue = self.chance.choice(QUEUES)
        ref = keys.queue_ref(environment, queue)
        taken: set[str] = set()
        pushes = []
        for _ in range(self.chance.choice((1, 1, 1, 1, 2, 5, 12))):
            push = self._random_push()
            if push.key not in taken:
                pushes.append(push)
            if push.key:
                taken.add(push.key)
        idempotency = None
        if self.chance.random() < 0.1:
            idempotency = Idempotency(
                self.chance.choice(("k1", "k2", "'k3")), self.chance.choice(("f1", "f2"))
            )
            known = self.idempotent.get((environment, idempotency.key))
            if known is not None:
                return self._push_again(environment, queue, pushes, idempotency, known)
        if not self.model.queue(ref).target and any(p.spec.target is None for p in pushes):
            if self.before.hashes.get(keys.queue(environment, queue)) is None:
                del self.model.queues[ref]
            with pytest.raises(TargetMissing):
                self.jobs.push(environment, queue, pushes, idempotency)
            return f"{ref}: no target"
        pushed = self.jobs.push(environment, queue, pushes, idempotency)
        for push, became in zip(pushes, pushed, strict=True):
            self._pushed(environment, ref, push, became)
        if idempotency:
            told = [(each.job.id, each.job.version) for each in pushed]
            self.idempotent[environment, idempotency.key] = (idempotency.fingerprint, told)
        return f"{ref}: {[(each.place.value, each.job.id, each.job.due_at) for each in pushed]}"

    def _random_push(self) -> Push:
        delay = on = None
        match self.chance.randrange(6):
            case 0:
                delay = self.chance.choice((0, 500, 5_000, 60_000, 5_000_000))
            case 1:
                on = self.now + self.chance.randrange(-5_000, 50_000)
        return Push(
            spec=self._random_spec(),
            key=self.chance.choice((*KEYS, *[None] * 5)),
            if_exists="keep" if self.chance.random() < 0.2 else "replace",
            delay=delay,
            on=on,
            priority=self.chance.choice((0, 0, 0, 0, 3, 9)),
        )

    def _random_spec(self) -> Spec:
        self.names += 1
        return Spec(
            payload=self.chance.choice((b"", b"\xff\x00\n]]'", b'{"n":%d}' % self.names)),
            target=None if self.chance.random() < 0.05 else "http://127.0.0.1/",
            max_age=self.chance.choice((*[None] * 12, 1, 2_000, 90_000)),
            terms=self._random_terms() if self.chance.random() < self.calling else None,
            retry=RetryPolicy("constant", delay=2_000, retries=2, jitter=0),
        )

    def _random_terms(self) -> Terms:
        return Terms(
            ttl=self.chance.choice((1_500, 60_000, 3_600_000)),
            heartbeat=self.chance.choice((1_000, 1_000, 5_000, 30_000)),
        )

    def _order(self, push: Push) -> Order:
        due = self.now
        if push.delay is not None:
            due += push.delay
        elif push.on is not None:
            due = max(due, push.on)
        return Order(
            due=due,
            priority=push.priority,
            max_age=push.spec.max_age,
            spec=push.spec.pack().decode("utf-8", "surrogateescape"),
            key=push.key,
            keep=push.if_exists == "keep",
        )

    def _pushed(self, environment: str, ref: str, push: Push, became: Any) -> None:
        order = self._order(push)
        assert became.place == self.model.place(ref, order)
        assert not became.replayed
        if became.place is Place.CREATED:
            assert ids.is_job_id(became.job.id)
            assert ids.environment_of(became.job.id) == environment
        else:
            known = self.model.by_key(ref, push.key or "")
            assert known is not None
            assert known.id == became.job.id
            assert became.job.pending == (known.next is not None or became.place == "pending")
        version = self.model.push(ref, order, became.job.id, self.now)
        assert became.job.version == version
        if became.place is not Place.KEPT:
            assert became.job.due_at == order.due
            assert became.job.spec == push.spec

    def _push_again(
        self, environment: str, queue: str, pushes: list[Push], idempotency: Idempotency, known: Any
    ) -> str:
        ref = keys.queue_ref(environment, queue)
        if self.before.hashes.get(keys.queue(environment, queue)) is None:
            self.model.queues.pop(ref, None)
        fingerprint, told = known
        if fingerprint != idempotency.fingerprint:
            with pytest.raises(InvalidRequest):
                self.jobs.push(environment, queue, pushes, idempotency)
            return f"{ref}: mismatch"
        # The fingerprint stands for the request, so as many items come again as went out.
        pushes = (pushes * len(told))[: len(told)]
        pushed = self.jobs.push(environment, queue, pushes, idempotency)
        assert all(each.replayed for each in pushed)
        assert [(each.job.id, each.job.version) for each in pushed] == told
        return f"{ref}: replayed"

    def _any_job(self) -> Any:
        return self.chance.choice(list(self.model.jobs.values())) if self.model.jobs else None

    def change(self) -> str:
        job = self._any_job()
        if job is None or '"service"' in job.current.spec:  # as its service job was
            return "nothing"
        read = self.jobs.read(job.id)
        assert read is not None
        assert (read.version, read.state) == (
            (job.next or job.current).number, State(job.state)
        )  # fmt: skip
        if self.chance.random() < 0.1:
            with pytest.raises(VersionChanged):
                self.jobs.change(
                    replace(read, version=read.version + 1), read.spec,
                    delay=None, on=None, priority=0,
                )  # fmt: skip
            return f"{job.id}: conflict"
        push = replace(self._random_push(), spec=self._random_spec())
        if push.spec.target is None and not self.model.queue(job.queue).target:
            return f"{job.id}: no target"
        order = self._order(push)
        if push.delay is None and push.on is None:
            order = replace(order, due=None)
        changed = self.jobs.change(
            read, push.spec, delay=push.delay, on=push.on, priority=push.priority
        )
        version = self.model.change(job, order, self.now)
        assert (changed.version, changed.pending) == (version, job.next is not None)
        return f"{job.id}: version {version}, due {changed.due_at}, was {job.state}"

    def cancel(self) -> str:
        job = self._any_job()
        if job is None or self.chance.random() < 0.05:
            assert self.jobs.cancel("1", "mail", "", "no such key") is None
            return "nothing"
        environment, queue = job.queue.split(":", 1)
        if '"terms"' in job.current.spec and self.chance.random() < 0.4:
            gone = self.jobs.cancel_at_once(job.id)
            assert gone is not None
            return f"{job.id}: {self.model.cancel(job, at_once=True)} at once"
        by_key = job.key is not None and self.chance.random() < 0.5
        answer = self.jobs.cancel(
            environment, queue, "" if by_key else job.id, (job.key or "") if by_key else ""
        )
        place = self.model.cancel(job)
        assert answer is not None
        assert (answer.id, answer.state is State.CANCELLED) == (job.id, place == "cancelled")
        return f"{job.id}: {place}"

    def run_now(self) -> str:
        job = next((job for job in self.model.jobs.values() if not job.running), None)
        if self.chance.random() < 0.5:
            job = self._any_job()
        if job is None or job.running:
            return "nothing"
        due, replayed = self.jobs.run_now(job.id, job.queue.partition(":")[0], None)
        self.model.run_now(job, self.now)
        assert (due.due_at, replayed) == (job.current.due, False)
        return f"{job.id}: due {due.due_at}"

    def pause(self) -> str:
        return self._pause(*self.chance.choice(ALL_QUEUES), True)

    def resume(self) -> str:
        return self._pause(*self.chance.choice(ALL_QUEUES), False)

    def _pause(self, environment: str, name: str, paused: bool) -> str:
        (self.queues.pause if paused else self.queues.resume)(Actor(environment, "model"), name)
        ref = keys.queue_ref(environment, name)
        self.model.queue(ref).paused = paused
        return f"{ref}: {paused}"

    def configure(self) -> str:
        # Small limits tell most where executions are listed.
        environment, name = self.chance.choice((*ALL_QUEUES, *SERVICE_QUEUES))
        queue = self.model.queue(keys.queue_ref(environment, name))
        target = self.chance.choice((None, "http://127.0.0.1/queue"))
        queue.target = target is not None
        queue.history_limit = self.chance.choice((0, 1, 3, 10_000))
        queue.failed_limit = self.chance.choice((0, 1, 3, 10_000))
        limits = {"history_limit": queue.history_limit, "failed_limit": queue.failed_limit}
        self.queues.configure(Actor(environment, "model"), name, {"target": target, **limits}, None)
        return f"{queue.ref}: {target} {limits}"
