"""What the scheduler does, what operators do to Redis, and what the network does."""

from __future__ import annotations

from lambdaqueue import keys
from tests.store.model.stage import ALL_QUEUES, START, Stage

__all__ = ["Operators"]


class Operators(Stage):
    """The scheduler's duties in any order, and hands that reach into Redis."""

    def tick(self) -> str:
        tick = self.upkeep.tick()
        self.model.tick(self.now)
        assert int(tick.now * 1000 + 0.5) == self.now
        return str(tick.next and int(tick.next * 1000) - START)

    def reclaim(self) -> str:
        answer = self.upkeep.reclaim()
        assert answer == self.model.reclaim(self.now)
        return str(answer)

    def sweep(self) -> str:
        return str(self.upkeep.sweep())

    def stir(self) -> str:
        refs = [keys.queue_ref(*each) for each in ALL_QUEUES]
        return str(self.upkeep.stir([ref for ref in refs if ref in self.model.queues]))

    def trim(self) -> str:
        environment, name = self.chance.choice(ALL_QUEUES)
        ref, kind = keys.queue_ref(environment, name), self.chance.choice("cf")
        if ref not in self.model.queues:
            return "nothing"
        queue = self.model.queues[ref]
        before = 99_999_999_999_999 if self.chance.random() < 0.2 else 1
        key = keys.history(environment, name, kind)
        size = len(self.histories.streams.get(key, []))
        over = size - (queue.history_limit if kind == "c" else queue.failed_limit)
        most = max(0, size if before > 1 else over)
        assert self.upkeep.trim(ref, kind, before) == most
        if most:
            self.histories.trimmed(key, most)
        return f"{key}: {most}"

    def flush_scripts(self) -> str:
        self.client.script_flush()
        return ""

    def suspend(self) -> str:
        """`rq suspend`."""
        self.suspended = True
        self.client.set("rq:suspended", 1)
        return ""

    def unsuspend(self) -> str:
        """`rq resume`."""
        self.suspended = False
        self.client.delete("rq:suspended")
        return ""

    def empty_line(self) -> str:
        """An operator deletes RQ's list, or `rq empty` the jobs in it as well."""
        if self.chance.random() < 0.5:
            for rq_id in self.before.line:
                self.client.delete(f"rq:job:{rq_id}")
                self.line.deleted.add(rq_id)
        self.client.delete(keys.line)
        return ""

    def echo(self) -> str:
        if not self.wire.sent:
            return "nothing"
        name, args = self.wire.much_later(self.now)
        # Whatever a worker sends is a sign of its life, even that it was born.
        if name == "beat" and args[1] == "new" and not self.model.knew(args[0]):
            self.model.join(args[0], args[2])
            self.wire.forget_claims(args[0])
        elif name == "beat" and self.model.alive(args[0]):
            self.model.beat(args[0], args[4:])
        elif name == "claim" and self.model.alive(args[1]):
            self.model.beat(args[1], ())
        return f"{name} {args}"
