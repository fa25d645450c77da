"""What owners of service jobs do, and the clock that fires them."""

from __future__ import annotations

import pytest

from lambdaqueue import keys
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.ids import environment_of
from lambdaqueue.schedule import plan
from lambdaqueue.service_job import ServiceJob
from tests.store.model.executions import Definition
from tests.store.model.stage import SERVICE_QUEUE, Stage

__all__ = ["Owners"]

SERVICE = "reports"
NAMES = (("1", "daily"), ("1", "often"), ("2", "daily"))


class Owners(Stage):
    """Service jobs at random: defined, changed, dropped, fired and started by hand."""

    def define(self) -> str:
        environment, job = self.chance.choice(NAMES)
        wanted = ServiceJob(
            SERVICE, job, "http://127.0.0.1/",
            schedule=self.chance.choice(("rate(1 minute)", "rate(1 hour)")),
            ttl=self.chance.choice((2, 60, 3_600)),
            heartbeat=self.chance.choice((1, 5, 30)),
            enabled=self.chance.random() < 0.9,
            exclusive=self.chance.random() < 0.7,
            payload=self.chance.choice((None, "p\n]]'")),
        )  # fmt: skip
        self.services.put(environment, wanted)
        stored = self.schedules.read(environment, wanted.id)
        assert stored is not None
        self.model.definitions[environment, wanted.id] = Definition(
            queue=keys.queue_ref(environment, SERVICE_QUEUE),
            spec=wanted.spec.pack().decode("utf-8", "surrogateescape"),
            exclusive=wanted.exclusive,
            enabled=wanted.enabled,
            revision=stored.revision,
            next_run="" if stored.next_run is None or stored.paused else str(stored.next_run),
            created=stored.created,
        )
        return f"{environment} {wanted}"

    def drop_service(self) -> str:
        environment, job = self.chance.choice(NAMES)
        names = (environment, f"{SERVICE}/{job}")
        if names not in self.model.definitions:
            with pytest.raises(NotFound):
                self.services.drop(environment, SERVICE, job)
            return "nothing"
        self.services.drop(environment, SERVICE, job)
        self.model.drop(*names)
        return str(names)

    def fire(self) -> str:
        """What is due is fired; now and then by a scheduler that comes too late."""
        due = self.schedules.due(100)
        self.rounds = [plan(each, self.now, 0.0) for each in due.schedules]
        return self.fire_late() if self.chance.random() < 0.9 else f"{len(self.rounds)} planned"

    def fire_late(self) -> str:
        return str(self.schedules.fire(self.rounds))

    def run_service(self) -> str:
        environment, job = self.chance.choice(NAMES)
        definition = self.model.definitions.get((environment, f"{SERVICE}/{job}"))
        if definition is None or not definition.enabled:
            with pytest.raises(NotFound if definition is None else Conflict):
                self.executing.run(environment, SERVICE, job)
            return f"{environment} {job}: refused"
        name = self.executing.run(environment, SERVICE, job)
        self.executed[name] = f"{SERVICE}/{job}"
        return name

    def try_out(self) -> str:
        environment, job = self.chance.choice(NAMES)
        if (environment, f"{SERVICE}/{job}") not in self.model.definitions:
            with pytest.raises(NotFound):
                self.executing.try_out(environment, SERVICE, job)
            return "nothing"
        return self.executing.try_out(environment, SERVICE, job)

    def repeat(self) -> str:
        """Repeat an ended execution; now and then one whose entry was trimmed meanwhile."""
        ended = {
            entry.fields["id"]: entry.fields["service"]
            for stream in self.histories.streams.values()
            for entry in stream
            if "service" in entry.fields
        }
        self.executed |= ended
        gone = sorted(self.executed.keys() - ended.keys() - self.model.jobs.keys())
        if gone and self.chance.random() < 0.4:
            name = self.chance.choice(gone)
            self.executions.start(environment_of(name), self.executed[name], "retry", retry_of=name)
            return f"{name}: trimmed"
        if not ended:
            return "nothing"
        name = self.chance.choice(sorted(ended))
        environment = environment_of(name)
        definition = self.model.definitions.get((environment, ended[name]))
        if definition is None or not definition.enabled:
            with pytest.raises(NotFound if definition is None else Conflict):
                self.executing.retry(environment, name)
            return f"{name}: refused"
        return f"{name}: {self.executing.retry(environment, name)}"
