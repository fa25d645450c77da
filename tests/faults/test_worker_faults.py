"""Workers, and everything, are stopped in order in the middle of a load."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lambdaqueue.job import Job, State
from tests.faults.plant import Plant
from tests.faults.side_by_side import AT_ONCE
from tests.faults.watching import Watching
from tests.waiting import until
from tests.workers.stage import ACTOR, ENVIRONMENT, QUICK, Stage

# One after the other: each starts many processes, and watches the clock.
pytestmark = pytest.mark.xdist_group("faults")

LOAD = 600
"""Jobs that are pushed at once; two workers with 20 slots are at them for some seconds."""

SLOTS = {"LQ_SLOTS": "20", "LQ_HOST_SLOTS": "20"}
"""One host gets all of this load."""

LONGEST = 600_000
"""ms for an attempt that is to last until the test lets it end."""

Record = Callable[[str, object], None]


@pytest.fixture
def endpoint() -> Watching:
    return Watching()


def load(stage: Stage, endpoint: Watching) -> list[Job]:
    """Push all jobs, in turn into three queues, which are opened when all are there."""
    from_hook = stage.hook.url
    queues = [f"q{number}" for number in range(3)]
    for queue in queues:
        stage.service.pause(ACTOR, queue)
    try:
        stage.hook.url = lambda path="/": endpoint.url  # type: ignore[method-assign]
        return [stage.push(queue=queues[number % 3]) for number in range(LOAD)]
    finally:
        stage.hook.url = from_hook  # type: ignore[method-assign]
        for queue in queues:
            stage.service.resume(ACTOR, queue)


def check_all_done(stage: Stage, endpoint: Watching, jobs: list[Job]) -> None:
    """Each job is done by attempts that were each sent once, one after the other, none lost."""
    deadline = time.monotonic() + 60
    while any(stage.service.queue(ENVIRONMENT, f"q{n}").waiting for n in range(3)):
        assert time.monotonic() < deadline, "not within 60 s: all jobs have ended"
        time.sleep(0.05)
    ended = stage.until_ended(*jobs)
    assert {job.state for job in ended} == {State.COMPLETED}
    assert endpoint.twice() == []
    assert endpoint.overlapping() == []
    calls = endpoint.by_id()
    for job in ended:
        assert [attempt.number for attempt in job.attempts] == [
            call.attempt for call in calls[f"{job.id}_1"]
        ]
        assert not any((each.error or "").startswith("lost") for each in job.attempts)
    until(lambda: stage.left_over() == [], f"nothing is left: {stage.left_over()[:5]}")


def test_a_worker_is_stopped_under_load(
    tmp_path: Path, endpoint: Watching, record_property: Record
) -> None:
    with Plant(tmp_path) as stage:
        stage.scheduler()
        workers = [stage.worker(**SLOTS) for _ in range(2)]
        jobs = load(stage, endpoint)
        until(lambda: len(endpoint.calls) > LOAD // 6, "they are at it")
        began, called = time.monotonic(), len(endpoint.calls)
        assert called < LOAD, "they were too fast to be stopped in the middle"
        assert workers[0].end() == 0
        took = time.monotonic() - began
        assert workers[1].running
        check_all_done(stage, endpoint, jobs)
        endpoint.stop()
    record_property(
        "fault",
        f"F14 SIGTERM a worker under load: rc 0 after {took:.1f} s, sent after {called} of "
        f"{LOAD} calls, all done in the end, none twice",
    )


def test_everything_is_stopped_under_load(
    tmp_path: Path, endpoint: Watching, record_property: Record
) -> None:
    """A deploy that stops all of the old before the new is there, web included."""
    with Plant(tmp_path) as stage:
        first = [stage.web(), stage.scheduler(), stage.worker(**SLOTS)]
        jobs = load(stage, endpoint)
        until(lambda: len(endpoint.calls) > LOAD // 6, "they are at it")
        for process in first:
            process.send(signal.SIGTERM)
        assert [process.wait() for process in first] == [0, 0, 0]
        called = len(endpoint.calls)
        assert called < LOAD, "they were too fast to be stopped in the middle"
        stage.scheduler()
        stage.worker(**SLOTS)
        check_all_done(stage, endpoint, jobs)
        endpoint.stop()
    record_property(
        "fault",
        f"F16 SIGTERM web, scheduler and worker at once: rc 0, {called} of {LOAD} jobs called by "
        "then; the next ones do the rest, none twice",
    )


def test_the_second_signal_hands_all_back(tmp_path: Path, record_property: Record) -> None:
    """Twenty calls that hang are out: they go to the other worker, under the next attempt."""
    with Plant(tmp_path) as stage:
        stage.scheduler()
        victim = stage.worker(LQ_SLOTS="27", LQ_GRACE="60")
        jobs = [stage.push("/stall/x", timeout=LONGEST, retry=QUICK) for _ in range(20)]
        until(lambda: len(stage.hook.deliveries) == 20, "all are out")
        other = stage.worker(LQ_SLOTS="27")
        victim.send(signal.SIGTERM)
        late = stage.push()
        until(lambda: stage.job(late).state is State.COMPLETED, "the other takes what is new")
        assert victim.running
        hurried_at = time.monotonic()
        victim.send(signal.SIGTERM)
        assert victim.wait() == 1
        until(lambda: len(stage.hook.deliveries) == 41, "all are called again")
        took = time.monotonic() - hurried_at
        assert took < AT_ONCE
        for job in stage.until_ended(*jobs):
            assert job.state is State.COMPLETED
            assert stage.calls(job.id) == [1, 2]
        assert other.running
    record_property("fault", f"F15b a second SIGTERM, 20 calls out: all repeated in {took:.1f} s")
