"""HistoryStore: order, pages, filters; exact limits, and indexes that follow."""

from __future__ import annotations

import pytest

from lambdaqueue import history, keys
from lambdaqueue.attempts import Kind, Settlement
from lambdaqueue.commands import HistoryFilter, Page
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.job import Job, State
from tests.store.world import ACTOR, ENV, World
from tests.waiting import until

ALL = HistoryFilter()
MAIL = keys.queue_ref(ENV, "mail")


def next_millisecond(world: World) -> None:
    """Entries are named by Redis' clock: let two of different streams not share a name."""
    start = world.client.time()
    until(lambda: (world.client.time()[1] // 1_000) != (start[1] // 1_000), "a later clock")


def finish(world: World, count: int, key: str | None = None) -> list[str]:
    """Complete `count` jobs, one after the other."""
    worker = world.worker()
    done = []
    for _ in range(count):
        done.append(world.push(key=key).job.id)
        assert worker.settle(worker.claim_one())
    next_millisecond(world)
    return done


def cancel(world: World, count: int, key: str | None = None) -> list[str]:
    """Cancel `count` jobs, one after the other."""
    done = []
    for _ in range(count):
        done.append(world.push(key=key, delay=1_000).job.id)
        world.cancel(done[-1])
    next_millisecond(world)
    return done


def page(
    world: World, where: HistoryFilter = ALL, limit: int = 100, cursor: str | None = None
) -> Page[Job]:
    return world.history.page(ENV, "mail", where, limit, cursor)


def shown(found: Page[Job]) -> list[str]:
    return [job.id for job in found.rows]


def test_newest_first_over_both_streams(world: World) -> None:
    jobs = finish(world, 2) + cancel(world, 2) + finish(world, 1) + cancel(world, 1)
    found = page(world)
    assert shown(found) == jobs[::-1]
    assert found.cursor is None
    assert [job.state for job in found.rows][:2] == [State.CANCELLED, State.COMPLETED]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_follow_each_other_without_gap_or_repeat(world: World, limit: int) -> None:
    worker = world.worker()
    jobs: list[str] = []
    for _ in range(4):  # settled in one run, entries share their millisecond
        jobs += [world.push().job.id for _ in range(3)]
        kinds = (Kind.COMPLETED, Kind.FAILED, Kind.COMPLETED)
        worker.settle_many(
            [Settlement(c, k, log="[]") for c, k in zip(worker.claim(3), kinds, strict=True)]
        )
    seen: list[str] = []
    cursor = None
    while True:
        found = page(world, limit=limit, cursor=cursor)
        assert len(found.rows) <= limit
        seen += shown(found)
        cursor = found.cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(jobs)
    assert seen == shown(page(world))


def test_more_than_one_chunk(world: World) -> None:
    jobs = cancel(world, 230)
    assert shown(page(world, limit=1_000)) == jobs[::-1]
    first = page(world, limit=150)
    assert shown(first) + shown(page(world, limit=150, cursor=first.cursor)) == jobs[::-1]


def test_filters(world: World) -> None:
    done, gone = finish(world, 2, key="k"), cancel(world, 2, key="k")
    others = cancel(world, 1)
    assert shown(page(world, HistoryFilter(state=State.COMPLETED))) == done[::-1]
    assert shown(page(world, HistoryFilter(state=State.CANCELLED))) == [*others, *gone[::-1]]
    assert shown(page(world, HistoryFilter(state=State.FAILED))) == []
    assert shown(page(world, HistoryFilter(key="k"))) == gone[::-1] + done[::-1]
    assert shown(page(world, HistoryFilter(key="no such"))) == []
    assert shown(page(world, HistoryFilter(state=State.COMPLETED, key="k"), limit=1)) == done[1:]


@pytest.mark.parametrize("filtered", [True, False])
def test_a_page_looks_at_so_many_entries(
    world: World, monkeypatch: pytest.MonkeyPatch, filtered: bool
) -> None:
    """However few of them match: it ends early then, and the next one goes on."""
    monkeypatch.setattr(history, "MOST_LOOKED_AT", 3)
    rare = cancel(world, 1, "rare")
    jobs = rare + finish(world, 4) + cancel(world, 3)
    where = HistoryFilter(key="rare") if filtered else ALL
    pages: list[list[str]] = []
    cursor = None
    while not pages or cursor:
        found = page(world, where, 100, cursor)
        pages.append(shown(found))
        cursor = found.cursor
    if filtered:
        assert pages == [[], [], rare]
    else:
        assert pages == [jobs[:4:-1], jobs[4:1:-1], jobs[1::-1]]


def test_since_and_until_are_inclusive(world: World) -> None:
    cancel(world, 3)
    entries = [entry.name for entry in world.snapshot().streams["lq:1:history:mail:f"]]
    times = [int(name.partition("-")[0]) for name in entries]
    whole = shown(page(world))
    assert shown(page(world, HistoryFilter(since=times[0], until=times[-1]))) == whole
    assert shown(page(world, HistoryFilter(since=times[-1] + 1))) == []
    assert shown(page(world, HistoryFilter(until=times[0] - 1))) == []
    newest = page(world, limit=1)
    assert shown(page(world, HistoryFilter(until=times[-1] + 9), cursor=newest.cursor)) == whole[1:]
    assert shown(page(world, HistoryFilter(until=times[0] - 1), cursor=newest.cursor)) == []


@pytest.mark.parametrize(
    "cursor",
    ["x", "1-1", "1-1-x", "$", "+", "-", ">", "1-1-c\n", "-1-1-c", "1-1-c ", "0-0-c", "9" * 40],
)
def test_cursors_that_no_page_gave(world: World, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        page(world, cursor=cursor)


def test_cursors_beyond_all_entries(world: World) -> None:
    jobs = cancel(world, 1)
    assert shown(page(world, cursor="999999999999999-999999999999999-c")) == jobs
    assert shown(page(world, cursor="1-0-f")) == []


def test_limits_are_exact_and_successes_push_no_failure_out(world: World) -> None:
    world.queues.configure(ACTOR, "mail", {"history_limit": 3, "failed_limit": 2}, None)
    failed = cancel(world, 4, key="f")
    done = finish(world, 5, key="c")
    assert shown(page(world)) == [*done[:1:-1], *failed[:1:-1]]
    ended = world.snapshot().hashes["lq:1:ended"]
    assert ended.keys() == {*done[2:], *failed[2:]}
    assert world.snapshot().number("lq:1:env", "entries") == 5
    assert world.history.newest(ENV, failed[0]) is None
    assert world.history.newest(ENV, failed[3]) is not None


def test_a_limit_of_zero_keeps_nothing(world: World) -> None:
    world.queues.configure(ACTOR, "mail", {"history_limit": 0, "failed_limit": 0}, None)
    jobs = cancel(world, 2, key="k") + finish(world, 2, key="k")
    assert page(world).rows == ()
    assert all(world.history.newest(ENV, job) is None for job in jobs)
    assert world.history.newest_by_key(ENV, "mail", "k") is None
    assert "lq:1:latest:mail" not in world.snapshot().hashes


def test_the_indexes_lead_to_the_newest_entry(world: World) -> None:
    worker = world.worker()
    job = world.push(key="k").job.id
    claim = worker.claim_one()
    world.push(key="k", payload=b"two")
    worker.settle(claim)
    worker.settle(worker.claim_one(), Kind.FAILED, error="http_410: gone")
    newest = world.history.newest(ENV, job)
    assert newest is not None
    assert (newest.version, newest.state) == (2, State.FAILED)
    assert world.history.newest_by_key(ENV, "mail", "k") == newest
    assert [row.version for row in page(world).rows] == [2, 1]
    # When the older one is trimmed, the index stays with the newer.
    assert world.upkeep.trim(MAIL, "c", 99_999_999_999_999) == 1
    assert world.history.newest(ENV, job) == newest
    assert world.upkeep.trim(MAIL, "f", 99_999_999_999_999) == 1
    assert world.history.newest(ENV, job) is None
    assert world.history.newest_by_key(ENV, "mail", "k") is None


def test_a_lowered_limit_is_reached_in_steps_of_a_hundred(world: World) -> None:
    cancel(world, 130)
    world.queues.configure(ACTOR, "mail", {"failed_limit": 10}, None)
    assert [world.upkeep.trim(MAIL, "f", 1) for _ in range(3)] == [100, 20, 0]
    assert len(page(world).rows) == 10
    assert world.snapshot().number("lq:1:env", "entries") == 10


def test_what_is_too_old_is_trimmed(world: World) -> None:
    cancel(world, 3)
    entries = world.snapshot().streams["lq:1:history:mail:f"]
    last = int(entries[-1].name.partition("-")[0])
    older = [entry for entry in entries if int(entry.name.partition("-")[0]) < last]
    assert world.upkeep.trim(MAIL, "f", last) == len(older)
    assert world.upkeep.trim(MAIL, "c", last) == 0
    assert world.upkeep.trim(MAIL, "f", last + 1) == 3 - len(older)
    assert "lq:1:ended" not in world.snapshot().hashes


def test_an_environment_at_its_cap_makes_room_where_entries_come_in(world: World) -> None:
    """In queues with some hundred entries at least; the rest is housekeeping's."""
    world.upkeep.limit_history(ENV, 150)
    assert world.upkeep.excess(ENV) < 0
    few = [world.push(queue="few", delay=1_000).job.id for _ in range(20)]
    for job in few:
        world.cancel(job)
    jobs = cancel(world, 140)
    assert world.upkeep.excess(ENV) == 0
    assert shown(page(world, limit=1_000)) == jobs[:9:-1]
    assert world.upkeep.oldest(ENV, "few", "f") is not None
    world.cancel(world.push(queue="few", delay=1_000).job.id)
    assert world.upkeep.excess(ENV) == 1  # a queue's few entries are left alone


def test_an_entry_with_a_large_body_ends_a_page_early(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdaqueue.history.PAGE_BYTES", 1_000)
    for _ in range(4):
        world.cancel(world.push(payload=b"x" * 700, delay=1_000).job.id)
    first = page(world)
    assert len(first.rows) == 2
    assert len(page(world, cursor=first.cursor).rows) == 2
