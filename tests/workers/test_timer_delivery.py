"""Timers through a real scheduler and a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdaqueue.errors import NotFound
from lambdaqueue.job import State
from lambdaqueue.timer import QUEUE, TimerSpec
from lambdaqueue.timers import Timers
from tests.waiting import until
from tests.workers.stage import ACTOR, ENVIRONMENT, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A Redis, an endpoint, a scheduler and a worker."""
    with Stage(tmp_path) as stage:
        stage.scheduler()
        stage.worker()
        yield stage


def test_it_calls_its_target_once(stage: Stage) -> None:
    timers = Timers(stage.client)
    spec = TimerSpec(b'{"due":true}', stage.hook.url("/t"))
    timers.set_once(ENVIRONMENT, "nightly/1", spec, at=None, delay=300)
    until(lambda: stage.history(QUEUE), "its job has ended")
    (one,) = stage.hook.to("/t")
    assert (one.method, one.body) == ("POST", b'{"due":true}')
    assert one.headers["x-lq-schedule"] == "nightly/1"
    with pytest.raises(NotFound):
        timers.once(ENVIRONMENT, "nightly/1")


def test_a_periodic_one_comes_again(stage: Stage) -> None:
    spec = TimerSpec(b"1", stage.hook.url("/p"))
    Timers(stage.client).set_periodic(ENVIRONMENT, "p", spec, "1s", None)
    until(lambda: len(stage.hook.to("/p")) >= 2, "two runs")
    assert len({each.id for each in stage.hook.to("/p")}) == len(stage.hook.to("/p"))


def test_the_queue_may_have_the_target(stage: Stage) -> None:
    stage.service.configure(ACTOR, QUEUE, {"target": stage.hook.url("/default")}, False)
    Timers(stage.client).set_once(ENVIRONMENT, "t", TimerSpec(b"1"), at=None, delay=0)
    until(lambda: stage.hook.to("/default"), "it is called")


def test_without_any_target_it_fails(stage: Stage) -> None:
    Timers(stage.client).set_once(ENVIRONMENT, "t", TimerSpec(b"1"), at=None, delay=0)
    until(lambda: stage.history(QUEUE), "its job has ended")
    (job,) = stage.history(QUEUE)
    assert job.state is State.FAILED
    assert (job.error or "").startswith("no_target: ")
