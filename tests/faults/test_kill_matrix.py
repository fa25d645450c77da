"""Whoever is killed, stopped or cut off, at whatever step: nothing is lost, nothing is stuck.

All scenarios run side by side, each on a Redis of its own with real processes, because most of
their time is the ten seconds of silence after which a worker counts as dead. Each returns what
happened, in words: the table of README.md in this folder.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.commands import Push
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.errors import StorageFull, StorageUnavailable
from lambdaqueue.job import Job, State
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.service import open_service
from lambdaqueue.spec import Spec
from lambdaqueue.upkeep import Upkeep
from tests.faults.proxy import Hold, Proxy
from tests.faults.side_by_side import Scenarios
from tests.operator import SECRET
from tests.waiting import until
from tests.workers.hook import Delivery
from tests.workers.stage import ENVIRONMENT, QUICK, Process, Stage
from tests.workers.validating_endpoint import MARK, Endpoint, Received, by_sdk, plain
from workers.reclaiming import Reclaiming
from workers.scheduler import Alarm, Scheduler
from workers.sweeping import Sweeping
from workers.waking import Waking

TAKEN_UP_WITHIN = 15.0
"""Seconds after a kill: promise 3 of the design."""

AT_ONCE = 3.0
"""Seconds, on a busy machine."""

LONGEST = 600_000
"""ms for an attempt that is to last until the test lets it end."""

scenarios = Scenarios(partial(Stage, append_only=True))
scenario = scenarios.scenario


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    with scenarios.playing(request, tmp_path_factory.mktemp("faults")) as futures:
        yield futures


@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize("name", scenarios.named)
def test_nothing_is_lost_or_stuck(
    name: str, played: dict[str, Future[str]], record_property: Callable[[str, object], None]
) -> None:
    record_property("fault", f"{name}: {played[name].result(100)}")


# What the scenarios are made of


class Impatient(Upkeep):
    """Counts workers as dead after 4 s instead of 10, where a scenario needs many deaths."""

    def reclaim(self) -> tuple[int, int]:
        lost, dead = self._scripts.run("reclaim", [], "", 4_000)
        return int(lost), int(dead)


@contextlib.contextmanager
def scheduling(stage: Stage, kind: type[Upkeep] = Upkeep) -> Iterator[None]:
    """Run a scheduler in a thread, where it is not the victim."""
    settings = Settings(redis_url=stage.redis.url)
    upkeep = kind(connect(settings))
    alarm = Alarm(connect(settings, answer_within=5))
    scheduler = Scheduler([Waking(upkeep), Reclaiming(upkeep), Sweeping(upkeep)], alarm)
    thread = threading.Thread(target=scheduler.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        scheduler.stop()
        thread.join(20)
        alarm.close()


def calls_of(stage: Stage, job: Job) -> list[Delivery]:
    """Return the deliveries of a job."""
    return [each for each in list(stage.hook.deliveries) if each.headers["x-lq-id"] == job.id]


def until_called(stage: Stage, job: Job, times: int = 1) -> Delivery:
    """Wait until the endpoint was called so often for the job; return the last call."""
    until(lambda: len(calls_of(stage, job)) >= times, f"call {times} of {job.id}")
    return calls_of(stage, job)[times - 1]


def check_end(stage: Stage, job: Job, attempts: list[int]) -> Job:
    """Wait for the end of a job and hold everything against the promises."""
    (ended,) = stage.until_ended(job)
    assert ended.state is State.COMPLETED, ended
    assert [call.attempt for call in calls_of(stage, job)] == attempts
    assert {call.id for call in calls_of(stage, job)} <= {f"{job.id}_1"}
    assert [entry.id for entry in stage.history()].count(job.id) == 1
    return ended


def check_nothing_stuck(stage: Stage) -> None:
    """Nothing runs, waits, or was left behind."""
    info = stage.service.queue(ENVIRONMENT, "q")
    assert (info.running, info.waiting) == (0, 0)
    until(lambda: stage.left_over() == [], f"nothing is left: {stage.left_over()}")


def hold_claim(proxy: Proxy, stage: Stage, path: str) -> tuple[Hold, Job]:
    """Push a job, and hold the reply to the claim that has taken it."""
    hold = proxy.hold("claim", "reply")
    job = stage.push(path)
    hold.wait()
    while stage.job(job).state is not State.RUNNING:  # that one had come too early for the job
        following = proxy.hold("claim", "reply")
        hold.release()
        hold = following
        hold.wait()
    return hold, job


def stand_by(stage: Stage) -> Callable[[], None]:
    """Start another worker that has its one slot full; return what sets it free."""
    stage.worker(LQ_SLOTS="1")
    # However long the machine takes to start others: this call mustn't end by its own deadline.
    held = stage.push("/hold/stand-by", queue="stand-by", timeout=LONGEST)
    until_called(stage, held)
    return stage.hook.gate("stand-by").set


def taken_up(stage: Stage, job: Job, killed_at: float, call: int) -> float:
    """Return after how many seconds the job was called again."""
    after = until_called(stage, job, call).at - killed_at
    assert after < TAKEN_UP_WITHIN
    return after


# Workers


@scenario("F05 SIGKILL worker between its claim and the request")
def killed_before_sending(stage: Stage) -> str:
    with scheduling(stage), Proxy(stage.redis.socket, stage.folder) as proxy:
        set_free = stand_by(stage)
        victim = stage.worker(REDIS_URL=proxy.url)
        hold, job = hold_claim(proxy, stage, "/")
        victim.send(signal.SIGSTOP)
        hold.release()
        killed_at = time.monotonic()
        victim.kill()
        set_free()
        after = taken_up(stage, job, killed_at, 1)
        ended = check_end(stage, job, [2])
        assert [each.error for each in ended.attempts] == ["lost: the worker died", None]
        check_nothing_stuck(stage)
    return f"called by the other worker after {after:.1f} s, as attempt 2"


@scenario("F07 SIGTERM worker between its claim and the request")
def stopped_before_sending(stage: Stage) -> str:
    with scheduling(stage), Proxy(stage.redis.socket, stage.folder) as proxy:
        set_free = stand_by(stage)
        victim = stage.worker(REDIS_URL=proxy.url)
        hold, job = hold_claim(proxy, stage, "/")
        victim.send(signal.SIGTERM)
        time.sleep(0.2)  # the signal must be in the loop before the reply is
        hold.release()
        set_free()
        released_at = time.monotonic()
        assert victim.wait() == 0
        after = until_called(stage, job).at - released_at
        assert after < AT_ONCE
        check_end(stage, job, [1])
        check_nothing_stuck(stage)
    return f"handed back unsent, called by the other worker after {after:.1f} s, as attempt 1; rc 0"


@scenario("F08 SIGKILL worker between the claim script and its reply")
def killed_before_the_reply(stage: Stage) -> str:
    with scheduling(stage), Proxy(stage.redis.socket, stage.folder) as proxy:
        set_free = stand_by(stage)
        victim = stage.worker(REDIS_URL=proxy.url)
        hold, job = hold_claim(proxy, stage, "/")
        killed_at = time.monotonic()
        victim.kill()
        hold.lose()
        set_free()
        after = taken_up(stage, job, killed_at, 1)
        check_end(stage, job, [2])
        check_nothing_stuck(stage)
    return f"called by the other worker after {after:.1f} s, as attempt 2"


@scenario("F10 SIGKILL worker during the request")
def killed_during_the_request(stage: Stage) -> str:
    with scheduling(stage):
        set_free = stand_by(stage)
        victim = stage.worker()
        jobs = [stage.push("/stall/x") for _ in range(3)]
        for job in jobs:
            until_called(stage, job)
        killed_at = time.monotonic()
        victim.kill()
        set_free()
        after = max(taken_up(stage, job, killed_at, 2) for job in jobs)
        for job in jobs:
            check_end(stage, job, [1, 2])
        check_nothing_stuck(stage)
    return f"3 calls repeated after at most {after:.1f} s, same webhook-id, attempt 2"


@scenario("F11 SIGSTOP worker past its death, then SIGCONT")
def frozen_past_its_death(stage: Stage) -> str:
    with scheduling(stage):
        set_free = stand_by(stage)
        victim = stage.worker()
        job = stage.push("/stall/x")
        until_called(stage, job)
        frozen_at = time.monotonic()
        victim.send(signal.SIGSTOP)
        set_free()
        after = taken_up(stage, job, frozen_at, 2)
        stage.until_ended(job)
        stage.hook.gate("x").set()  # the answer to the first call waits for the frozen worker
        victim.send(signal.SIGCONT)
        said = ("outcome_refused", "declared_dead")
        until(lambda: any(words in victim.text for words in said), "its outcome was refused")
        check_end(stage, job, [1, 2])
        assert stage.processes[0].end() == 0
        check_end(stage, stage.push(), [1])
        check_nothing_stuck(stage)
    return f"repeated after {after:.1f} s; thawed, it took a new name and went on; one entry"


@scenario("F13 SIGKILL worker after the 200, before it is stored")
def killed_before_settling(stage: Stage) -> str:
    with scheduling(stage), Proxy(stage.redis.socket, stage.folder) as proxy:
        set_free = stand_by(stage)
        victim = stage.worker(REDIS_URL=proxy.url)
        hold = proxy.hold("settle", "request")
        job = stage.push("/")
        hold.wait()
        killed_at = time.monotonic()
        victim.kill()
        hold.lose()
        set_free()
        after = taken_up(stage, job, killed_at, 2)
        check_end(stage, job, [1, 2])
        check_nothing_stuck(stage)
    return f"exactly one repeat, after {after:.1f} s, same webhook-id, attempt 2"


@scenario("F13b SIGKILL worker after the outcome was stored, before it knows")
def killed_after_settling(stage: Stage) -> str:
    with scheduling(stage), Proxy(stage.redis.socket, stage.folder) as proxy:
        victim = stage.worker(REDIS_URL=proxy.url)
        hold = proxy.hold("settle", "reply")
        job = stage.push("/")
        hold.wait()
        stage.worker()
        victim.kill()
        hold.lose()
        until(lambda: stage.client.zcard("lq:workers") == 1, "it was declared dead")
        check_end(stage, job, [1])
        check_nothing_stuck(stage)
    return "no repeat: its outcome counts"


@scenario("F04 the reply to a settle gets lost")
def settle_reply_lost(stage: Stage) -> str:
    with scheduling(stage), Proxy(stage.redis.socket, stage.folder) as proxy:
        stage.worker(REDIS_URL=proxy.url)
        for script in ("claim", "settle", "beat"):
            proxy.hold(script, "reply").lose()
        jobs = [stage.push("/") for _ in range(5)]
        for job in jobs:
            check_end(stage, job, [1])
        info = stage.service.queue(ENVIRONMENT, "q")
        assert (info.completed, info.failed) == (5, 0)
        check_nothing_stuck(stage)
    return "lost replies to claim, beat and settle: each job called and counted once"


@scenario("F14 SIGTERM worker while a job runs")
def drained(stage: Stage) -> str:
    with scheduling(stage):
        victim = stage.worker()
        job = stage.push("/hold/x")
        until_called(stage, job)
        victim.send(signal.SIGTERM)
        until(lambda: stage.client.llen("rq:queue:lambdaqueue") == 0, "the line is empty")
        time.sleep(0.3)  # the signal must be there before the next job is
        late = stage.push()
        stage.hook.gate("x").set()
        assert victim.wait() == 0
        check_end(stage, job, [1])
        assert calls_of(stage, late) == []
        stage.worker()
        check_end(stage, late, [1])
        check_nothing_stuck(stage)
    return "finished what was out, took nothing more, rc 0"


@scenario("F15 SIGTERM worker, its grace time over")
def grace_over(stage: Stage) -> str:
    with scheduling(stage):
        set_free = stand_by(stage)
        victim = stage.worker(LQ_GRACE="1")
        job = stage.push("/stall/x")
        until_called(stage, job)
        victim.send(signal.SIGTERM)
        set_free()
        assert victim.wait() == 1
        ended_at = time.monotonic()
        after = until_called(stage, job, 2).at - ended_at
        assert after < AT_ONCE
        check_end(stage, job, [1, 2])
        check_nothing_stuck(stage)
    return "handed back after the grace time, called by the other worker at once; rc 1"


@scenario("F15b a second SIGTERM")
def hurried(stage: Stage) -> str:
    with scheduling(stage):
        set_free = stand_by(stage)
        victim = stage.worker(LQ_GRACE="60")
        job = stage.push("/stall/x")
        until_called(stage, job)
        victim.send(signal.SIGTERM)
        time.sleep(0.3)  # two signals at once are one
        hurried_at = time.monotonic()
        victim.send(signal.SIGTERM)
        set_free()
        assert victim.wait() == 1
        assert until_called(stage, job, 2).at - hurried_at < AT_ONCE
        check_end(stage, job, [1, 2])
        check_nothing_stuck(stage)
    return "handed back at once, without waiting for the grace time; rc 1"


@scenario("F18 a job that kills every worker which has it")
def poison(stage: Stage) -> str:
    with scheduling(stage, Impatient):
        bad = stage.push("/hold/bad")
        others = [stage.push("/stall/others") for _ in range(10)]
        deaths = 0
        while not stage.job(bad).state.ended and deaths < 5:
            victim = stage.worker()
            until_called(stage, bad, deaths + 1)
            victim.kill()
            deaths += 1
            until(lambda: stage.client.zcard("lq:workers") == 0, "it was declared dead")
        stage.hook.gate("others").set()
        stage.worker()
        stage.until_ended(*others)
        ended = stage.job(bad)
        assert (ended.state, ended.error) == (
            State.FAILED,
            "lost: three workers died on this job",
        )
        assert {stage.job(job).state for job in others} == {State.COMPLETED}
        assert sorted(entry.id for entry in stage.history()) == sorted(
            job.id for job in (bad, *others)
        )
        check_nothing_stuck(stage)
        worst = max(len(calls_of(stage, job)) for job in others)
    return (
        f"FAILED after {deaths} dead workers; 10 others all delivered, called {worst} times at most"
    )


@scenario("F34 worker cut off from Redis, then healed")
def cut_off(stage: Stage) -> str:
    with scheduling(stage), Proxy(stage.redis.socket, stage.folder) as proxy:
        set_free = stand_by(stage)
        victim = stage.worker(REDIS_URL=proxy.url)
        job = stage.push("/stall/x")
        until_called(stage, job)
        cut_at = time.monotonic()
        proxy.partition()
        set_free()
        until(lambda: "calls_aborted" in victim.text, "it has aborted its call")
        aborted_after = time.monotonic() - cut_at
        assert aborted_after < 10
        after = taken_up(stage, job, cut_at, 2)
        stage.until_ended(job)
        proxy.heal()
        until(lambda: "outcome_refused" in victim.text, "what it handed back was refused")
        check_end(stage, job, [1, 2])
        assert stage.processes[0].end() == 0
        check_end(stage, stage.push(), [1])
        check_nothing_stuck(stage)
    return f"aborted its call after {aborted_after:.1f} s, repeated elsewhere after {after:.1f} s"


SHIFTED = """
import time
from importlib import import_module
true = time.time
time.time = lambda: true() + ({seconds})
raise SystemExit(import_module("workers.delivery").main())
"""


@scenario("F37, F38 a worker's clock is an hour off")
def wrong_clock(stage: Stage) -> str:
    with scheduling(stage):
        # No endpoint would prove anything to a worker whose clock is off: this one knows the time.
        worker = stage.worker()
        check_end(stage, stage.push("/flaky/2"), [1, 2, 3])
        assert worker.end() == 0
        for seconds in (3_600, -3_600):
            worker = stage.worker_by([sys.executable, "-c", SHIFTED.format(seconds=seconds)])
            job = stage.push("/flaky/2", max_age=30_000)
            ended = check_end(stage, job, [1, 2, 3])
            assert all(0 <= each.duration < 5_000 for each in ended.attempts)
            ahead = int(calls_of(stage, job)[0].headers["webhook-timestamp"]) - time.time()
            assert ahead == pytest.approx(seconds, abs=30)
            assert worker.end() == 0
        check_nothing_stuck(stage)
    return "leases, retries and max ages unmoved; only the signature's time is wrong"


# Workers that validate


@contextlib.contextmanager
def silent_endpoint(stage: Stage) -> Iterator[Endpoint]:
    """Run an endpoint that proves, but only when its gate is opened; check what reached it."""
    endpoint = Endpoint(by_sdk(SECRET))
    endpoint.gate.clear()
    try:
        yield endpoint
    finally:
        endpoint.stop()
    endpoint.check([SECRET])


def push_to(stage: Stage, endpoint: Endpoint) -> Job:
    """Push a job to an endpoint of the test's own."""
    spec = Spec(payload=MARK, target=endpoint.url(), retry=QUICK)
    return stage.service.push(ENVIRONMENT, "q", Push(spec)).job


def until_asked(endpoint: Endpoint) -> Received:
    """Wait until a validation came; return it."""
    until(lambda: endpoint.validations, "it is asked")
    assert endpoint.deliveries == []
    return endpoint.validations[0]


def check_delivered(stage: Stage, endpoint: Endpoint, job: Job, attempt: int) -> Received:
    """Wait for the end of a job that must have been delivered once; return that delivery."""
    (ended,) = stage.until_ended(job)
    assert ended.state is State.COMPLETED, ended
    assert ended.attempts[-1].number == attempt
    (call,) = (each for each in endpoint.deliveries if each.headers["x-lq-id"] == job.id)
    assert call.headers["x-lq-attempt"] == str(attempt)
    assert [entry.id for entry in stage.history()].count(job.id) == 1
    return call


@scenario("F10v SIGKILL worker during the validation, another one waits for it")
def killed_while_validating(stage: Stage) -> str:
    with scheduling(stage), silent_endpoint(stage) as endpoint:
        set_free = stand_by(stage)
        victim = stage.worker(LQ_SLOTS="1")
        job = push_to(stage, endpoint)
        asked = until_asked(endpoint)
        waiting = push_to(stage, endpoint)
        set_free()
        until(lambda: stage.job(waiting).state is State.RUNNING, "the other has claimed")
        killed_at = time.monotonic()
        victim.kill()
        endpoint.gate.set()
        check_delivered(stage, endpoint, waiting, 1)
        after = check_delivered(stage, endpoint, job, 2).at - killed_at
        assert after < TAKEN_UP_WITHIN
        pause = endpoint.validations[1].at - asked.at
        assert 11 < pause < 12 + AT_ONCE
        assert len(endpoint.validations) == 2
        check_nothing_stuck(stage)
    return f"the other validates {pause:.1f} s after the first; delivered after {after:.1f} s"


@scenario("F11v SIGSTOP worker during the validation past its death, then SIGCONT")
def frozen_while_validating(stage: Stage) -> str:
    with scheduling(stage), silent_endpoint(stage) as endpoint:
        set_free = stand_by(stage)
        victim = stage.worker()
        job = push_to(stage, endpoint)
        until_asked(endpoint)
        frozen_at = time.monotonic()
        victim.send(signal.SIGSTOP)
        set_free()
        endpoint.way = plain(200)  # what the frozen one will read
        endpoint.gate.set()
        until(lambda: endpoint.answers, "the first is answered")
        endpoint.way = by_sdk(SECRET)
        after = check_delivered(stage, endpoint, job, 2).at - frozen_at
        assert after < TAKEN_UP_WITHIN
        victim.send(signal.SIGCONT)
        said = ("outcome_refused", "declared_dead")
        until(lambda: any(words in victim.text for words in said), "its outcome was refused")
        assert stage.processes[0].end() == 0
        check_delivered(stage, endpoint, push_to(stage, endpoint), 1)
        assert len(endpoint.validations) == 2
        check_nothing_stuck(stage)
    return f"validated and delivered elsewhere after {after:.1f} s; its late refusal binds nobody"


@scenario("F14v SIGTERM worker during the validation")
def drained_while_validating(stage: Stage) -> str:
    with scheduling(stage), silent_endpoint(stage) as endpoint:
        victim = stage.worker()
        job = push_to(stage, endpoint)
        until_asked(endpoint)
        victim.send(signal.SIGTERM)
        time.sleep(0.3)  # the signal must be there before the answer is
        endpoint.gate.set()
        assert victim.wait() == 0
        check_delivered(stage, endpoint, job, 1)
        assert len(endpoint.validations) == 1
        check_nothing_stuck(stage)
    return "validated, delivered, rc 0"


@scenario("F15v SIGTERM worker during the validation, its grace time over")
def grace_over_while_validating(stage: Stage) -> str:
    with scheduling(stage), silent_endpoint(stage) as endpoint:
        set_free = stand_by(stage)
        victim = stage.worker(LQ_GRACE="1")
        job = push_to(stage, endpoint)
        until_asked(endpoint)
        began = time.monotonic()
        victim.send(signal.SIGTERM)
        assert victim.wait() == 1
        ended_at = time.monotonic()
        assert ended_at - began < 1 + AT_ONCE
        assert not list(stage.client.scan_iter(keys.validating(ENVIRONMENT, "*")))
        endpoint.gate.set()
        set_free()
        after = check_delivered(stage, endpoint, job, 2).at - ended_at
        assert after < AT_ONCE
        assert len(endpoint.validations) == 2
        check_nothing_stuck(stage)
    return f"handed back with the right to validate, delivered elsewhere after {after:.1f} s; rc 1"


@scenario("F13v SIGKILL worker after the proof, before it is remembered")
def killed_before_remembering(stage: Stage) -> str:
    return _killed_at_the_proof(stage, "request")


@scenario("F13w SIGKILL worker after the proof is remembered, before it knows")
def killed_after_remembering(stage: Stage) -> str:
    return _killed_at_the_proof(stage, "reply")


def _killed_at_the_proof(stage: Stage, side: Literal["request", "reply"]) -> str:
    with (
        scheduling(stage),
        silent_endpoint(stage) as endpoint,
        Proxy(stage.redis.socket, stage.folder) as proxy,
    ):
        set_free = stand_by(stage)
        victim = stage.worker(REDIS_URL=proxy.url)
        hold = proxy.hold("remember_target", side)
        endpoint.gate.set()
        job = push_to(stage, endpoint)
        hold.wait()
        killed_at = time.monotonic()
        victim.kill()
        hold.lose()
        set_free()
        after = check_delivered(stage, endpoint, job, 2).at - killed_at
        assert after < TAKEN_UP_WITHIN
        asked = len(endpoint.validations)
        assert asked == (2 if side == "request" else 1)
        check_nothing_stuck(stage)
    return f"asked {asked} times in all, delivered elsewhere after {after:.1f} s"


@scenario("F24v SIGTERM Redis during the validation, back after 2 s")
def redis_restarted_while_validating(stage: Stage) -> str:
    with silent_endpoint(stage) as endpoint:
        processes = _restarted(stage)
        job = push_to(stage, endpoint)
        until_asked(endpoint)
        stage.redis.stop()
        endpoint.gate.set()
        began = time.monotonic()
        until(lambda: time.monotonic() > began + 2, "two seconds have passed")
        assert endpoint.deliveries == []
        stage.redis.start()
        check_delivered(stage, endpoint, job, 1)
        assert len(endpoint.validations) == 1
        assert all(process.running for process in processes)
        check_nothing_stuck(stage)
    return "the proof is kept, and remembered when Redis is back; delivered in the same attempt"


# Schedulers


@scenario("F19 SIGKILL scheduler after it woke a queue, before it knows")
def scheduler_killed_after(stage: Stage) -> str:
    return _scheduler_killed(stage, "reply")


@scenario("F20 SIGKILL scheduler before it woke a queue")
def scheduler_killed_before(stage: Stage) -> str:
    return _scheduler_killed(stage, "request")


def _scheduler_killed(stage: Stage, side: Literal["request", "reply"]) -> str:
    waiting = keys.waiting(ENVIRONMENT, "q", "0")
    with Proxy(stage.redis.socket, stage.folder) as proxy:
        stage.worker()
        victim = stage.scheduler(REDIS_URL=proxy.url)
        jobs = [stage.push(delay=500) for _ in range(5)]
        until(lambda: time.time() * 1_000 > jobs[0].due_at - 30, "they are almost due")
        hold = proxy.hold("tick", side)
        hold.wait()
        while side == "reply" and stage.client.zcard(waiting) == 5:  # that tick woke nothing
            following = proxy.hold("tick", side)
            hold.release()
            hold = following
            hold.wait()
        until(lambda: time.time() * 1_000 > jobs[-1].due_at, "they are due")
        victim.kill()
        woken = 5 - stage.client.zcard(waiting)
        assert woken == 0 if side == "request" else woken > 0
        hold.lose()
        stage.scheduler()
        for job in jobs:
            check_end(stage, job, [1])
        check_nothing_stuck(stage)
    return f"{woken} of 5 were woken by then; the next scheduler goes on; each job called once"


@scenario("F21 a scheduler died with rq-scheduler's lock in its hand")
def lock_left_behind(stage: Stage) -> str:
    stage.client.set("rq:scheduler_lock:lambdaqueue", 1)
    stage.scheduler()
    stage.worker()
    job = stage.push(delay=500)
    after = until_called(stage, job).at - (time.monotonic() + job.due_at / 1_000 - time.time())
    assert after < 2
    check_end(stage, job, [1])
    check_nothing_stuck(stage)
    return "no job waits for that lock"


# Everything, and Redis


@scenario("F12 everything is killed at once")
def container_killed(stage: Stage) -> str:
    victims = [stage.worker(), stage.scheduler()]
    running = [stage.push("/stall/x") for _ in range(3)]
    for job in running:
        until_called(stage, job)
    waiting = [stage.push(delay=1_000 + n) for n in range(20)]
    stage.redis.kill()
    for victim in victims:
        victim.kill()
    stage.redis.stop()
    stage.redis.start()
    _restarted(stage)
    started_at = time.monotonic()
    after = max(taken_up(stage, job, started_at, 2) for job in running)
    for job in running:
        check_end(stage, job, [1, 2])
    for job in waiting:
        check_end(stage, job, [1])
    check_nothing_stuck(stage)
    return (
        f"after the restart 20 waiting jobs called once, 3 running ones again after {after:.1f} s"
    )


def _restarted(stage: Stage) -> list[Process]:
    return [stage.scheduler(), stage.worker()]


@scenario("F24 SIGTERM Redis, back after 2 s")
def redis_restarted(stage: Stage) -> str:
    processes = _restarted(stage)
    running = [stage.push("/hold/x") for _ in range(3)]
    for job in running:
        until_called(stage, job)
    waiting = [stage.push(delay=1_000) for _ in range(10)]
    stage.redis.stop()
    stage.hook.gate("x").set()  # these attempts end in the gap
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        stage.push()
    refused_after = time.monotonic() - began
    assert refused_after < 2
    until(lambda: time.monotonic() > began + 2, "two seconds have passed")
    stage.redis.start()
    back_at = time.monotonic()
    for job in (*running, *waiting):
        check_end(stage, job, [1])
    after = time.monotonic() - back_at
    check_end(stage, stage.push(), [1])
    assert all(process.running for process in processes)
    check_nothing_stuck(stage)
    return (
        f"pushes refused within {refused_after:.1f} s; outcomes from the gap kept, each job called "
        f"once, all settled {after:.1f} s after its return"
    )


@scenario("F25 SIGKILL Redis, append-only file every second")
def redis_killed(stage: Stage) -> str:
    _restarted(stage)
    stored: list[Job] = []
    refused = threading.Event()

    def push() -> None:
        with contextlib.suppress(StorageUnavailable):
            while True:
                stored.append(stage.push(delay=1_500))
        refused.set()

    pushing = threading.Thread(target=push)
    pushing.start()
    until(lambda: len(stored) >= 200, "200 are stored")
    stage.redis.kill()
    assert refused.wait(20)
    pushing.join()
    stage.redis.stop()
    stage.redis.start()
    stage.until_ended(*stored)
    assert {entry.state for entry in stage.history()} == {State.COMPLETED}
    assert {job.id for job in stored} <= {call.headers["x-lq-id"] for call in stage.hook.deliveries}
    check_nothing_stuck(stage)
    return f"0 of {len(stored)} acknowledged jobs lost"


@scenario("F26 Redis is full")
def redis_full(stage: Stage) -> str:
    with scheduling(stage):
        worker = stage.worker()
        running, failing = stage.push("/hold/x"), stage.push("/stall/y", retry=SLOW)
        for job in (running, failing):
            until_called(stage, job)
        waiting, unwanted = stage.push(delay=2_000), stage.push(delay=60_000)
        before = stage.service.queue(ENVIRONMENT, "q").waiting
        stage.client.config_set("maxmemory", 1)
        began = time.monotonic()
        with pytest.raises(StorageFull):
            stage.push()
        assert time.monotonic() - began < 2
        assert stage.service.queue(ENVIRONMENT, "q").waiting == before
        assert "redis" in stage.administration.ready().failures
        assert stage.job(waiting).state is State.PENDING
        stage.service.cancel(ENVIRONMENT, unwanted.id)
        assert stage.job(unwanted).state is State.CANCELLED
        for gate in ("x", "y"):
            stage.hook.gate(gate).set()
        for job in (running, failing, waiting):
            check_end(stage, job, [1])
        stage.client.config_set("maxmemory", 0)
        assert stage.administration.ready().failures == {}
        check_end(stage, stage.push(), [1])
        assert worker.running
        check_nothing_stuck(stage)
    return "pushes refused as storage_full, nothing partial; reads, deletes and attempts go on"


@scenario("F28 Redis is read-only for a while")
def redis_read_only(stage: Stage) -> str:
    processes = _restarted(stage)
    job = stage.push("/hold/x")
    until_called(stage, job)
    waiting = stage.push(delay=500)
    stage.client.replicaof("127.0.0.1", 1)
    with pytest.raises(StorageUnavailable):
        stage.push()
    stage.hook.gate("x").set()
    until(
        lambda: all("storage_unavailable" in process.text for process in processes),
        "both have noticed",
    )
    stage.client.replicaof("NO", "ONE")
    for each in (job, waiting, stage.push()):
        check_end(stage, each, [1])
    assert all(process.running for process in processes)
    check_nothing_stuck(stage)
    return "pushes refused; worker and scheduler wait and go on, each job called once"


SLOW = RetryPolicy("constant", delay=500, retries=3, jitter=0)


@scenario("F32 SCRIPT FLUSH")
def scripts_flushed(stage: Stage) -> str:
    with scheduling(stage):
        stage.worker()
        jobs = []
        for _ in range(5):
            stage.client.script_flush()
            jobs.append(stage.push("/flaky/1"))
            stage.client.script_flush()
        for job in jobs:
            check_end(stage, job, [1, 2])
        check_nothing_stuck(stage)
    return "every script is sent whole again; nobody notices"


@scenario("F33 Redis takes 2 s for each command")
def redis_slow(stage: Stage) -> str:
    with scheduling(stage), Proxy(stage.redis.socket, stage.folder) as proxy:
        worker = stage.worker(REDIS_URL=proxy.url)
        job = stage.push("/hold/x")
        until_called(stage, job)
        proxy.delay = 1.0  # each way
        began = time.monotonic()
        slow = open_service(Settings(redis_url=proxy.url))
        with pytest.raises(StorageUnavailable):
            slow.queues(ENVIRONMENT, 10, None)
        refused_after = time.monotonic() - began
        assert refused_after < 2.5
        until(lambda: time.monotonic() > began + 12, "longer than a silent worker may live")
        assert stage.job(job).attempt == 1
        stage.hook.gate("x").set()
        check_end(stage, job, [1])
        proxy.delay = 0
        check_end(stage, stage.push(), [1])
        assert "declared_dead" not in worker.text
        assert "calls_aborted" not in worker.text
        check_nothing_stuck(stage)
    return f"the API refuses after {refused_after:.1f} s; the worker lives, its job is settled once"


def test_a_stage_ends_all_that_it_started(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        worker = stage.worker()
        url = stage.redis.url
    assert not worker.running
    with pytest.raises(redis.exceptions.ConnectionError):
        redis.Redis.from_url(url).ping()
