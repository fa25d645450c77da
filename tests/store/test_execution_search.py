"""Executions of service jobs as their owner handles them: begun by hand, repeated, searched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lambdaqueue.commands import Page
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.executing import MOST_LISTED, ExecutionFilter, Executions
from lambdaqueue.execution import ExecutionStatus, Final
from lambdaqueue.job import Job, State
from lambdaqueue.service_job import ServiceJob
from tests.store.desk import OTHER
from tests.store.service_desk import FAIL, SUCCESS, ServiceDesk
from tests.store.world import ENV, NOW, TARGET

HOUR = 3_600_000
LOCKED = "exclusive_lock: another execution of the job is unfinished"


def search(desk: ServiceDesk, **where: Any) -> Page[Job]:
    desk._follow()
    return desk.executions.search(ENV, ExecutionFilter(**where))


def names(desk: ServiceDesk, **where: Any) -> list[str]:
    return [job.id for job in search(desk, **where).rows]


class TestByHand:
    def test_what_does_not_exist(self, desk: ServiceDesk) -> None:
        for service, job in (("reports", "no"), ("no", "daily"), ("", "")):
            for act in (desk.executions.run, desk.executions.try_out):
                with pytest.raises(NotFound):
                    act(ENV, service, job)

    def test_the_timetable_stays(self, desk: ServiceDesk) -> None:
        desk.run()
        schedule = desk.schedules.read(ENV, "reports/daily")
        assert schedule is not None
        assert schedule.next_run == NOW + HOUR

    @pytest.mark.parametrize("how", ["run", "try_out"])
    def test_the_same_request_again(self, desk: ServiceDesk, how: str) -> None:
        """Its first answer got lost after the execution had begun, or has even ended."""
        act: Callable[[str, str, str, str], str] = getattr(desk.executions, how)
        first = act(ENV, "reports", "daily", "0" * 16)
        assert act(ENV, "reports", "daily", "0" * 16) == first
        desk.finish(desk.start())
        assert act(ENV, "reports", "daily", "0" * 16) == first
        assert desk.worker.claim() == []
        assert act(ENV, "reports", "daily", "1" * 16) != first

    def test_a_test_is_no_run(self, desk: ServiceDesk) -> None:
        name = desk.executions.try_out(ENV, "reports", "daily")
        assert names(desk) == []
        called = desk.start()
        run = called.claim.spec.service
        assert run is not None
        assert (run.test, called.claim.policy.retries) == (True, 0)
        desk.finish(called, FAIL)
        job = desk.job(name)
        assert (job.state, job.error) == (State.FAILED, "fail: out of paper")
        with pytest.raises(NotFound):
            desk.executions.retry(ENV, name)

    def test_a_test_of_a_disabled_job(self, desk: ServiceDesk) -> None:
        desk.put(enabled=False)
        name = desk.executions.try_out(ENV, "reports", "daily")
        assert desk.job(name).state is State.PENDING


class TestRetry:
    @pytest.mark.parametrize("final", [SUCCESS, FAIL], ids=["success", "fail"])
    def test_linked_both_ways(self, desk: ServiceDesk, final: Final) -> None:
        desk.world.later(HOUR)
        (first,) = desk.fire()
        desk.finish(desk.start(), final)
        desk.put(payload="new")
        desk.world.later(60_000)
        desk._follow()
        second = desk.executions.retry(ENV, first)
        old, new = (desk.executions.execution(ENV, name) for name in (first, second))
        assert (old.retried_by, old.job.retry_of) == (second, None)
        assert (new.retried_by, new.job.retry_of) == (None, first)
        assert new.job.event_ms == old.job.event_ms
        assert desk.call().claim.spec.payload == b"new"
        desk.cancel(second)
        third = desk.executions.retry(ENV, second)
        fourth = desk.executions.retry(ENV, first)
        links = [desk.executions.execution(ENV, each) for each in (first, second, third)]
        assert [each.retried_by for each in links] == [fourth, third, None]
        assert links[2].job.retry_of == second
        desk.cancel(third)
        assert desk.job(third).retry_of == second

    def test_what_cannot_be_repeated(self, desk: ServiceDesk) -> None:
        name = desk.run()
        with pytest.raises(Conflict):
            desk.executions.retry(ENV, name)
        desk.start()
        with pytest.raises(Conflict):
            desk.executions.retry(ENV, name)
        item = desk.push()
        desk.finish(desk.start())
        plain = desk.world.push().job.id
        desk.world.cancel(plain)
        for each in (item, plain, "0" * 14, ""):
            with pytest.raises(NotFound):
                desk.executions.retry(ENV, each)

    def test_it_heeds_the_lock(self, desk: ServiceDesk) -> None:
        desk.put(exclusive=True)
        first = desk.run()
        refused = desk.run()
        assert desk.job(desk.executions.retry(ENV, refused)).error == LOCKED
        desk.finish(desk.start())
        assert desk.job(desk.executions.retry(ENV, first)).state is State.PENDING


class TestSearchOfExecutions:
    def test_oldest_first_whatever_their_state(self, desk: ServiceDesk) -> None:
        runs = [desk.run() for _ in range(6)]
        called = [desk.call() for _ in range(5)]
        desk.finish(called[1])
        desk.beat(called[2])
        desk.finish(called[3], FAIL)
        desk.refuse(called[4])
        desk.cancel(runs[0])
        found = search(desk)
        assert [job.id for job in found.rows] == runs
        assert [job.execution_status for job in found.rows] == [
            ExecutionStatus.CANCELLED,
            ExecutionStatus.SUCCESS,
            ExecutionStatus.RUNNING,
            ExecutionStatus.FAIL,
            ExecutionStatus.INVOKED,
            ExecutionStatus.INVOKED,
        ]
        assert found.cursor is None

    @pytest.mark.parametrize(
        ("scopes", "found"),
        [
            (("",), [0, 1, 2, 3]),
            (("reports",), [0, 1]),
            (("reports/daily",), [0]),
            (("reports", "reports/daily"), [0, 1]),
            (("reports/weekly", "reports-b/daily"), [1, 2]),
            (("reports-b", "", "reports-b"), [0, 1, 2, 3]),
            (("reports-b",), [2, 3]),
            (("none", "reports/none"), []),
            ((), []),
        ],
    )
    def test_scopes(self, desk: ServiceDesk, scopes: tuple[str, ...], found: list[int]) -> None:
        runs = []
        for service, job in (("reports", "daily"), ("reports", "weekly"),
                             ("reports-b", "daily"), ("reports-b", "x")):  # fmt: skip
            desk.services.put(ENV, ServiceJob(service, job, TARGET, "rate(1 hour)", 60))
            runs.append(desk.executions.run(ENV, service, job))
        desk.push()
        assert names(desk, scopes=scopes) == [runs[each] for each in found]

    @pytest.mark.parametrize(
        ("since", "found"),
        [(0, 3), (NOW, 3), (NOW + 1, 2), (NOW + 1_000, 2), (NOW + 1_001, 1), (NOW + 2_001, 0),
         (10**15, 0), (2**63, 0)],
    )  # fmt: skip
    def test_since_is_a_lower_bound(self, desk: ServiceDesk, since: int, found: int) -> None:
        runs = []
        for _ in range(3):
            runs.append(desk.run())
            desk.world.later(1_000)
        assert names(desk, since=since) == runs[3 - found :]

    def test_more_only_while_there_is_more(self, desk: ServiceDesk) -> None:
        for _ in range(MOST_LISTED):
            desk.run()
        assert search(desk).cursor is None
        last = desk.run()
        page = search(desk)
        assert (len(page.rows), page.cursor) == (MOST_LISTED, page.rows[-1].id)
        rest = search(desk, more=page.cursor)
        assert ([job.id for job in rest.rows], rest.cursor) == ([last], None)
        assert search(desk, more=last) == Page(())

    def test_pages_while_executions_end_and_new_ones_begin(self, desk: ServiceDesk) -> None:
        """Nothing is told twice, and nothing is left out that was there at the beginning."""
        desk.put("weekly")
        runs = [desk.run(("daily", "weekly")[number % 2]) for number in range(230)]
        seen: list[str] = []
        more: str | None = None
        scopes = ("reports/daily", "reports/weekly")
        for _ in range(10):
            page = search(desk, scopes=scopes, more=more)
            assert len(page.rows) <= MOST_LISTED
            seen += [job.id for job in page.rows]
            more = page.cursor
            if more is None:
                break
            desk.finish(desk.call())
            desk.finish(desk.start(), FAIL)
            desk.cancel(runs[len(seen) + 5])
            desk.run()
        assert len(seen) == len(set(seen))
        assert seen == sorted(seen)
        assert seen[:230] == runs
        assert len(seen) == 232

    def test_large_answers_end_a_page_early(
        self, desk: ServiceDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lambdaqueue.executing.PAGE_BYTES", 1_000)
        runs = []
        for _ in range(5):
            runs.append(desk.run())
            desk.finish(desk.start(), Final("success", state="x" * 600))
        pages: list[list[str]] = []
        more: str | None = None
        while not pages or more:
            page = search(desk, more=more)
            pages.append([job.id for job in page.rows])
            more = page.cursor
        assert pages == [runs[:2], runs[2:4], runs[4:]]

    def test_one_page_that_is_just_too_large(
        self, desk: ServiceDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lambdaqueue.executing.PAGE_BYTES", 1)
        name = desk.run()
        desk.finish(desk.start())
        page = search(desk)
        assert ([job.id for job in page.rows], page.cursor) == ([name], None)

    def test_others_see_nothing(self, desk: ServiceDesk) -> None:
        name = desk.run()
        desk.start()
        executions = Executions(desk.world.client, desk.world.now)
        assert executions.search(OTHER, ExecutionFilter()) == Page(())
        for act in (executions.execution, executions.cancel, executions.retry):
            with pytest.raises(NotFound):
                act(OTHER, name)
        with pytest.raises(NotFound):
            executions.run(OTHER, "reports", "daily")
        with pytest.raises(NotFound):
            executions.try_out(OTHER, "reports", "daily")
        assert desk.status(name) is ExecutionStatus.RUNNING

    def test_an_item_is_found_by_its_name_alone(self, desk: ServiceDesk) -> None:
        name = desk.push()
        assert desk.job(name).id == name
        assert names(desk) == []
        plain = desk.world.push().job.id
        with pytest.raises(NotFound):
            desk.job(plain)
