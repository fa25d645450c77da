"""What breaks while executions run: workers, web servers, schedulers, Redis, and their services.

Every scenario has processes as the Procfile starts them, and services that call back over HTTP.
The scenarios of one run are played side by side, because most of them wait. Each returns what it
saw for the table in README.md.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

import pytest
import requests

from lambdaqueue import keys
from lambdaqueue.callbacks import Callbacks
from lambdaqueue.commands import Push
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.errors import ExecutionOver
from lambdaqueue.execution import ExecutionStatus, Final, Terms
from lambdaqueue.job import Job, State
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Spec
from tests.faults.proxy import Hold, Proxy
from tests.faults.side_by_side import Scenarios
from tests.waiting import until
from tests.workers.service_stage import ONCE, ServiceStage, token_of
from tests.workers.stage import ENVIRONMENT, QUICK, Process

REPEATED_WITHIN = 15.0
"""Seconds after a kill: promise 3 of the design."""

FOUND_WITHIN = 2_000
"""ms after a deadline."""

HEARTBEATS = 10
"""That one token may send in a second."""

SUCCESS = {"status": "success", "summary": "done", "state": {"page": 7}, "correlation_id": "c-1"}
FAIL = {"status": "fail", "summary": "no", "error": {"message": "out of paper"}}
PROCESSING = {"status": "processing", "progress": 40}

scenarios = Scenarios(partial(ServiceStage, append_only=True))
scenario = scenarios.scenario


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    with scenarios.playing(request, tmp_path_factory.mktemp("executions")) as futures:
        yield futures


@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize("name", scenarios.named)
def test_it_ends_exactly_once(
    name: str, played: dict[str, Future[str]], record_property: Callable[[str, object], None]
) -> None:
    record_property("fault", f"{name}: {played[name].result(100)}")


# What the scenarios are made of


def say(stage: ServiceStage, token: str, body: dict[str, Any]) -> requests.Response:
    """Call back as a service does."""
    return requests.post(f"{stage.origin}/api/v1/callback/{token}", json=body, timeout=20)


def told(answer: requests.Response) -> tuple[int, str]:
    """Return what a service learns of an answer: its status, and why."""
    return answer.status_code, answer.json()["message"] if answer.status_code >= 400 else ""


def over(status: str) -> tuple[int, str]:
    """Return what `told` is when an execution has ended so."""
    return 410, f"The job execution status is {status}"


def insist(stage: ServiceStage, token: str, body: dict[str, Any], status: int) -> float:
    """Call back again and again, as a service must, until it's taken; return after how long."""
    began = time.monotonic()

    def taken() -> bool:
        try:
            answer = say(stage, token, body)
        except requests.ConnectionError:
            return False
        assert answer.status_code in (status, 503), told(answer)
        return answer.status_code == status

    until(taken, "the callback is taken")
    return time.monotonic() - began


def check_end(stage: ServiceStage, name: str, status: ExecutionStatus, attempts: int = 1) -> Job:
    """Wait for the end of an execution and hold everything against the promises."""
    ended = stage.until_status(name, status)
    assert ended.state.ended
    assert len(ended.attempts) == attempts
    assert [entry.id for entry in stage.history(ended.queue)].count(name) == 1
    assert {call.id for call in stage.calls(name)} == {f"{name}_1"}
    return ended


def check_nothing_stuck(stage: ServiceStage) -> None:
    """Nothing runs, waits, is watched, or was left behind."""
    for info in stage.service.queues(ENVIRONMENT, 10, None).rows:
        assert (info.running, info.waiting) == (0, 0), info
    until(lambda: stage.left_over() == [], f"nothing is left: {stage.left_over()}")
    assert list(stage.client.scan_iter("lq:*:awaiting:*")) == []
    assert list(stage.client.scan_iter("lq:*:unfinished:*")) == []


def check_found_in_time(ended: Job, looked_for: int = 0) -> int:
    """Check that a deadline was found in time, and not too early; return the ms that it took.

    `looked_for` is the Unix ms since which somebody could find it.
    """
    assert ended.ended_at is not None
    assert ended.awaiting_since is not None
    assert ended.spec.terms is not None
    deadline = ended.awaiting_since + ended.spec.terms.ttl
    assert ended.ended_at >= deadline
    late = ended.ended_at - max(deadline, looked_for)
    assert late < FOUND_WITHIN
    return max(0, late)


@contextlib.contextmanager
def posting(stage: ServiceStage, token: str, body: dict[str, Any]) -> Iterator[list[object]]:
    """Call back in a thread; what it's answered, or fails with, is in the list at the end."""
    outcome: list[object] = []

    def post() -> None:
        try:
            outcome.append(say(stage, token, body).status_code)
        except requests.ConnectionError as error:
            outcome.append(error)

    thread = threading.Thread(target=post)
    thread.start()
    yield outcome
    thread.join(30)
    assert not thread.is_alive()


# Workers


@scenario("worker killed while its calls are out, one has called back")
def killed_during_the_call(stage: ServiceStage) -> str:
    stage.web()
    stage.scheduler()
    victim = stage.worker()
    stage.define("/stall/x", exclusive=True)
    silent, heard = stage.run(), stage.push_async("/hold/y", retry=QUICK)
    old = token_of(stage.until_invoked(silent))
    known = token_of(stage.until_invoked(heard))
    assert told(say(stage, known, PROCESSING)) == (204, "")
    killed_at = time.monotonic()
    victim.kill()
    stage.worker()
    again = stage.until_invoked(silent, 2)
    after = again.at - killed_at
    assert after < REPEATED_WITHIN
    assert json.loads(again.body)["execution_name"] == silent
    assert (stage.shown(heard).state, stage.shown(heard).attempts) == (State.RUNNING, ())
    for body in (PROCESSING, SUCCESS):
        assert told(say(stage, old, body)) == over("REPLACED")
    new = token_of(again)
    assert new != old
    for token in (new, known):
        assert told(say(stage, token, PROCESSING)) == (204, "")
        assert told(say(stage, token, SUCCESS)) == (200, "")
    ended = check_end(stage, silent, ExecutionStatus.SUCCESS, attempts=2)
    assert [each.error for each in ended.attempts] == ["lost: the worker died", None]
    check_end(stage, heard, ExecutionStatus.SUCCESS)
    assert [len(stage.calls(name)) for name in (silent, heard)] == [2, 1]
    check_nothing_stuck(stage)
    return f"the silent one invoked again after {after:.1f} s, old token 410; the other one goes on"


@scenario("worker killed after the webhook's 200, before it is stored")
def killed_before_settling(stage: ServiceStage) -> str:
    with Proxy(stage.redis.socket, stage.folder) as proxy:
        stage.web()
        stage.scheduler()
        victim = stage.worker(REDIS_URL=proxy.url)
        hold = proxy.hold("settle", "request")
        stage.define()
        name = stage.run()
        hold.wait()
        old = token_of(stage.until_invoked(name))
        killed_at = time.monotonic()
        victim.kill()
        hold.lose()
        stage.worker()
        again = stage.until_invoked(name, 2)
        after = again.at - killed_at
        assert after < REPEATED_WITHIN
        stage.until_status(name, ExecutionStatus.RUNNING)
        assert told(say(stage, old, SUCCESS)) == over("REPLACED")
        assert told(say(stage, token_of(again), SUCCESS)) == (200, "")
        check_end(stage, name, ExecutionStatus.SUCCESS, attempts=2)
        check_nothing_stuck(stage)
    return f"invoked again after {after:.1f} s, same webhook-id; the old token 410"


@scenario("worker killed while its call is out, its service calls back before anybody repeats it")
def killed_and_called_back(stage: ServiceStage) -> str:
    stage.web()
    stage.scheduler()
    victim = stage.worker()
    stage.define("/stall/x")
    name = stage.run()
    token = token_of(stage.until_invoked(name))
    victim.kill()
    until(lambda: stage.shown(name).state is State.RETRY, "it was declared lost")
    assert told(say(stage, token, PROCESSING)) == (204, "")
    assert stage.shown(name).execution_status is ExecutionStatus.RUNNING
    stage.worker()
    stage.until_ended(stage.push("/", queue="services.reports"))
    assert told(say(stage, token, SUCCESS)) == (200, "")
    check_end(stage, name, ExecutionStatus.SUCCESS)
    assert len(stage.calls(name)) == 1
    check_nothing_stuck(stage)
    return "it goes on, and is not repeated by the worker that comes"


# Callbacks


@scenario("a final callback is lost with the web server, before and after it counted")
def callback_lost(stage: ServiceStage) -> str:
    with Proxy(stage.redis.socket, stage.folder) as proxy:
        web = stage.web(REDIS_URL=proxy.url)
        stage.worker()
        sides: list[Literal["request", "reply"]] = ["request", "reply"]
        names = [stage.push_async() for _ in sides]
        for side, name, token in zip(sides, names, stage.started(*names), strict=True):
            hold = proxy.hold("end_executions", side)
            with posting(stage, token, SUCCESS) as outcome:
                hold.wait()
                web.kill()
                hold.lose()
            assert isinstance(outcome[0], requests.ConnectionError)
            counted = stage.shown(name).state is State.COMPLETED
            assert counted == (side == "reply")
            web = stage.web(REDIS_URL=proxy.url)
            for _ in range(2):
                assert told(say(stage, token, SUCCESS)) == (200, "")
            check_end(stage, name, ExecutionStatus.SUCCESS)
            check_lost_connection(stage, proxy, side)
        check_nothing_stuck(stage)
    return "sent again it is answered 200, whether it had counted or not; one end"


def check_lost_connection(
    stage: ServiceStage, proxy: Proxy, side: Literal["request", "reply"]
) -> None:
    """Where only the web server's connection to Redis breaks, its service notices nothing."""
    name = stage.push_async()
    (token,) = stage.started(name)
    hold: Hold = proxy.hold("end_executions", side)
    with posting(stage, token, SUCCESS) as outcome:
        hold.wait()
        hold.lose()
    assert outcome == [200]
    check_end(stage, name, ExecutionStatus.SUCCESS)


@scenario("callbacks come twice, late, and for an attempt that is over")
def callback_out_of_turn(stage: ServiceStage) -> str:
    stage.web()
    stage.scheduler()
    stage.worker()
    policy = RetryPolicy("constant", delay=3_000, retries=1, jitter=0)
    silent, failing = stage.push_async(ttl=1_000), stage.push_async("/", retry=policy)
    late, old = stage.started(silent, failing)
    for _ in range(2):
        assert told(say(stage, old, FAIL)) == (200, "")
    assert told(say(stage, old, SUCCESS)) == over("FAIL")
    assert told(say(stage, old, PROCESSING)) == over("FAIL")
    new = token_of(stage.until_invoked(failing, 2))
    assert told(say(stage, old, FAIL)) == (200, "")
    for body in ({**FAIL, "summary": "another"}, SUCCESS, PROCESSING):
        assert told(say(stage, old, body)) == over("REPLACED")
    for _ in range(2):
        assert told(say(stage, new, SUCCESS)) == (200, "")
    reordered = dict(reversed(SUCCESS.items()))
    assert told(say(stage, new, reordered)) == (200, "")
    for body in (PROCESSING, FAIL, {**SUCCESS, "state": {"page": 8}}):
        assert told(say(stage, new, body)) == over("SUCCESS")
    check_end(stage, silent, ExecutionStatus.TIMEOUT)
    for body in (PROCESSING, SUCCESS):
        assert told(say(stage, late, body)) == over("TIMEOUT")
    ended = check_end(stage, failing, ExecutionStatus.SUCCESS, attempts=2)
    assert [each.error for each in ended.attempts] == ["fail: out of paper", None]
    assert told(say(stage, new[:-1] + ("A" if new[-1] != "A" else "B"), SUCCESS))[0] == 404
    check_nothing_stuck(stage)
    return "the same body again 200, anything else 410 with how it ended"


# Races


class Race:
    """Items that run, and callbacks that many threads send for them at given times."""

    def __init__(self, stage: ServiceStage, count: int, ttl: int) -> None:
        self._stage = stage
        self._starts: list[tuple[float, str, Final | None]] = []
        self._lock = threading.Lock()
        self.answers: dict[tuple[str, str], str] = {}
        spec = Spec(target=stage.hook.url(), terms=Terms(ttl, 60_000), retry=ONCE)
        pushed, _ = stage.service.push_many(ENVIRONMENT, "q", [Push(spec)] * count)
        self.names = [each.job.id for each in pushed]
        watched = keys.awaiting(ENVIRONMENT, "q")
        until(lambda: stage.client.zcard(watched) == count, "all run")
        deadlines: Any = stage.client.zrange(watched, 0, -1, withscores=True)
        self.ends = {name.decode(): int(ends) for name, ends in deadlines}
        self._tokens = {each.headers["x-lq-id"]: token_of(each) for each in stage.hook.deliveries}

    def enter(self, name: str, offset: float, final: Final | None) -> None:
        """Let a callback be sent so many ms after the deadline of `name`; None is a heartbeat that
        asks for 3 s more."""
        self._starts.append((self.ends[name] + offset, name, final))

    def run(self, threads: int = 8) -> dict[str, Job]:
        """Send them all; return how their items have ended."""
        self._starts.sort(key=lambda start: start[0], reverse=True)
        with ThreadPoolExecutor(threads) as pool:
            for runner in [pool.submit(self._work) for _ in range(threads)]:
                runner.result(60)
        until(lambda: self._stage.service.queue(ENVIRONMENT, "q").running == 0, "all have ended")
        ended = self._stage.history()
        assert Counter(job.id for job in ended) == Counter(self.names)
        return {job.id: job for job in ended}

    def _work(self) -> None:
        client = connect(Settings(redis_url=self._stage.redis.url))
        callbacks = Callbacks(client)
        while start := self._next():
            at, name, final = start
            while (left := at - time.time() * 1_000) > 0:
                time.sleep(left / 1_000)
            try:
                if final is None:
                    callbacks.heartbeat(self._tokens[name], extend=3_000)
                else:
                    callbacks.finish(self._tokens[name], final)
                answer = ""
            except ExecutionOver as error:
                answer = str(error).rpartition(" ")[2]
            self.answers[name, final.status if final else "processing"] = answer
        client.close()

    def _next(self) -> tuple[float, str, Final | None] | None:
        with self._lock:
            return self._starts.pop() if self._starts else None


@scenario("success, fail and the deadline come at once")
def race_of_three(stage: ServiceStage) -> str:
    """From 160 ms before the deadline to 17 ms after it; a few long before it, a few too late."""
    stage.scheduler()
    stage.worker()
    race = Race(stage, 300, ttl=4_000)
    finals = [Final("success"), Final("fail", error="no")]
    for number, name in enumerate(race.names):
        offset = {0: -3_000, 1: FOUND_WITHIN}.get(number // 10, number % 60 * 3 - 160)
        for final in finals if number % 2 else reversed(finals):
            race.enter(name, offset, final)
    ends = Counter[ExecutionStatus]()
    for name, ended in race.run().items():
        status = ended.execution_status
        for said in ("success", "fail"):
            assert race.answers[name, said] == ("" if status == said else status.upper())
        ends[status] += 1
    assert 0 < ends[ExecutionStatus.TIMEOUT] < len(race.names)
    assert stage.service.queue(ENVIRONMENT, "q").completed == ends[ExecutionStatus.SUCCESS]
    check_nothing_stuck(stage)
    how = ", ".join(f"{ends[each]} {each}" for each in ExecutionStatus if each in ends)
    return f"{len(race.names)} races, one end each, told to all three: {how}"


@scenario("a heartbeat asks for more time when the deadline comes")
def race_for_more_time(stage: ServiceStage) -> str:
    stage.scheduler()
    stage.worker()
    race = Race(stage, 120, ttl=3_000)
    for number, name in enumerate(race.names):
        race.enter(name, number % 60 - 40, None)
    won = 0
    for name, ended in race.run().items():
        in_time = race.answers[name, "processing"] == ""
        assert in_time or race.answers[name, "processing"] == "TIMEOUT"
        assert ended.execution_status is ExecutionStatus.TIMEOUT
        assert ended.ended_at is not None
        late = ended.ended_at - race.ends[name]
        assert late >= 2_900 if in_time else 0 <= late < FOUND_WITHIN
        won += in_time
    check_nothing_stuck(stage)
    return f"{won} of {len(race.names)} were in time, and had all the time they were promised"


# Redis, and everything


def _running(stage: ServiceStage) -> list[Process]:
    # The scheduler last: silence counts from its start on, however long the others take to theirs.
    return [stage.web(), stage.worker(), stage.scheduler()]


def _through_an_outage(stage: ServiceStage, break_down: Callable[[], None]) -> str:
    """Three executions before an outage of 4.5 s: one works on, two have their time run out."""
    stage.define("/", heartbeat=2)  # 4 s of silence, which the outage is not
    working, short, long = stage.run(), stage.push_async(ttl=3_000), stage.push_async(ttl=8_000)
    tokens = stage.started(working, short, long)
    assert told(say(stage, tokens[0], PROCESSING)) == (204, "")
    began = time.monotonic()
    break_down()
    back_at = int(time.time() * 1_000)
    # By now somebody has looked at deadlines: had the outage counted, `working` were dead.
    missed = check_end(stage, short, ExecutionStatus.TIMEOUT)
    check_found_in_time(missed, back_at)
    assert missed.error == "callback_timeout: no end within 3000 ms of the start"
    after = insist(stage, tokens[0], {**PROCESSING, "progress": 80}, 204)
    assert time.monotonic() - began > 4
    shown = stage.shown(working)
    assert (shown.execution_status, shown.progress) == (ExecutionStatus.RUNNING, 80)
    insist(stage, tokens[0], PROCESSING, 204)
    assert told(say(stage, tokens[0], SUCCESS)) == (200, "")
    check_end(stage, working, ExecutionStatus.SUCCESS)
    late = check_found_in_time(check_end(stage, long, ExecutionStatus.TIMEOUT), back_at)
    for token in tokens[1:]:
        assert told(say(stage, token, SUCCESS)) == over("TIMEOUT")
    following = stage.until_invoked(stage.run())
    left = json.loads(following.body)["last_successful_execution"]
    assert (left["name"], left["state"]) == (working, {"page": 7})
    return f"heard again after {after:.1f} s, state and progress kept, the deadline {late} ms late"


@scenario("F24 SIGTERM Redis while executions run, back after 4.5 s")
def redis_restarted(stage: ServiceStage) -> str:
    processes = _running(stage)
    away: list[float] = []

    def break_down() -> None:
        stage.redis.stop()
        nobody = f"{'0' * 13}1_{'A' * 43}"
        began = time.monotonic()
        answer = say(stage, nobody, SUCCESS)
        away.append(time.monotonic() - began)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        until(lambda: time.monotonic() > began + 4.5, "some time has passed")
        stage.redis.start()

    seen = _through_an_outage(stage, break_down)
    assert away[0] < 2
    assert all(process.running for process in processes)
    return f"callbacks meanwhile 503 within {away[0]:.1f} s; {seen}"


@scenario("F12 everything is killed while executions run, back after 4.5 s")
def everything_killed(stage: ServiceStage) -> str:
    processes = _running(stage)

    def break_down() -> None:
        began = time.monotonic()
        stage.redis.kill()
        for process in processes:
            process.kill()
        stage.redis.stop()
        until(lambda: time.monotonic() > began + 4.5, "some time has passed")
        stage.redis.start()
        _running(stage)

    return _through_an_outage(stage, break_down)


@scenario("F26 Redis is full while executions run")
def redis_full(stage: ServiceStage) -> str:
    _running(stage)
    stage.define()
    done, failing = stage.run(), stage.push_async("/", retry=QUICK)
    silent, cancelled = stage.push_async(ttl=2_000), stage.run()
    tokens = stage.started(done, failing, silent, cancelled)
    stage.client.config_set("maxmemory", 1)
    refused = stage.api("POST", "/services/reports/jobs/daily/run")
    assert refused.status_code == 503, refused.text
    assert told(say(stage, tokens[0], PROCESSING)) == (204, "")
    for _ in range(2):
        assert told(say(stage, tokens[0], SUCCESS)) == (200, "")
    assert told(say(stage, tokens[1], FAIL)) == (200, "")
    assert check_end(stage, done, ExecutionStatus.SUCCESS).final is not None
    new = token_of(stage.until_invoked(failing, 2))
    assert told(say(stage, new, SUCCESS)) == (200, "")
    check_end(stage, failing, ExecutionStatus.SUCCESS, attempts=2)
    late = check_found_in_time(check_end(stage, silent, ExecutionStatus.TIMEOUT))
    assert stage.api("POST", f"/executions/{cancelled}/cancel").status_code == 200
    assert told(say(stage, tokens[3], SUCCESS)) == over("CANCELLED")
    stage.client.config_set("maxmemory", 0)
    following = stage.run()
    call = stage.until_invoked(following)
    assert json.loads(call.body)["last_successful_execution"]["name"] == done
    assert told(say(stage, token_of(call), SUCCESS)) == (200, "")
    check_nothing_stuck(stage)
    return f"heartbeats, ends, retries and cancels go on, a deadline found {late} ms late"


# Schedulers


@scenario("F19 scheduler killed when it ends an execution, and one of two before that")
def scheduler_killed(stage: ServiceStage) -> str:
    with Proxy(stage.redis.socket, stage.folder) as proxy:
        stage.worker()
        after = _killed_at_a_deadline(stage, proxy, "request")
        _killed_at_a_deadline(stage, proxy, "reply")
        victim, _ = stage.scheduler(), stage.scheduler()
        name = stage.push_async(ttl=1_200)
        stage.started(name)
        victim.kill()
        late = check_found_in_time(check_end(stage, name, ExecutionStatus.TIMEOUT))
        check_nothing_stuck(stage)
    return (
        f"before it had: the next one does so {after} ms after its start; after it had: no second "
        f"end; the one that is left: {late} ms after the deadline"
    )


def _killed_at_a_deadline(
    stage: ServiceStage, proxy: Proxy, side: Literal["request", "reply"]
) -> int:
    """Kill the only scheduler when it ends an execution; return when another did, ms from its
    start."""
    victim = stage.scheduler(REDIS_URL=proxy.url)
    hold = proxy.hold("end_executions", side)
    name = stage.push_async(ttl=700)
    stage.started(name)
    hold.wait()
    victim.kill()
    hold.lose()
    assert stage.shown(name).state.ended == (side == "reply")
    other = stage.scheduler()
    started_at = int(time.time() * 1_000)
    ended = check_end(stage, name, ExecutionStatus.TIMEOUT)
    other.kill()
    return check_found_in_time(ended, started_at)


# Too many


@scenario("B92 1 000 heartbeats at once with one token")
def flood(stage: ServiceStage) -> str:
    _running(stage)
    loud, quiet = stage.push_async(), stage.push_async()
    loud_token, quiet_token = stage.started(loud, quiet)
    began = time.monotonic()
    statuses = Counter[tuple[int, str | None]]()
    with ThreadPoolExecutor(10) as pool:
        flooding = [pool.submit(_beat, stage, loud_token, 100) for _ in range(10)]
        slowest = 0.0
        for _ in range(HEARTBEATS):
            sent = time.monotonic()
            assert told(say(stage, quiet_token, PROCESSING)) == (204, "")
            slowest = max(slowest, time.monotonic() - sent)
        for one in flooding:
            statuses += one.result(60)
    took = time.monotonic() - began
    taken = statuses[204, None]
    assert set(statuses) == {(204, None), (429, "1")}
    assert statuses.total() == 1_000
    assert HEARTBEATS <= taken <= HEARTBEATS * (int(took) + 2)
    assert slowest < 2
    for token in (loud_token, quiet_token):
        assert told(say(stage, token, SUCCESS)) == (200, "")
    check_nothing_stuck(stage)
    return (
        f"{taken} taken in {took:.1f} s, the others 429 with Retry-After; another token's within "
        f"{slowest * 1_000:.0f} ms"
    )


def _beat(stage: ServiceStage, token: str, times: int) -> Counter[tuple[int, str | None]]:
    """Send heartbeats over one kept connection; return what came back how often."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=20)
    answers = Counter[tuple[int, str | None]]()
    for _ in range(times):
        connection.request(
            "POST",
            f"/api/v1/callback/{token}",
            b'{"status":"processing"}',
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        answer.read()
        answers[answer.status, answer.getheader("Retry-After")] += 1
    connection.close()
    return answers
