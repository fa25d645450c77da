"""Schedulers that die, race, are cut off or come late: each occurrence exactly once.

The clock is passed in, but where a machine's own is the fault. Each test says what happened for
the table in README.md.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.errors import StorageUnavailable
from lambdaqueue.rescheduling import ScheduleChange, Wanted
from lambdaqueue.schedule import Misfire, Recurrence, plan
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.scheduling import Scheduling
from lambdaqueue.spec import Spec
from tests.faults.proxy import Proxy
from workers.firing import Firing

ENV = keys.DEFAULT_ENVIRONMENT
NOW = 1_700_000_000_000
S, M, H = 1_000, 60_000, 3_600_000

Record = Callable[[str, object], None]


class Site:
    """A Redis with schedules, and schedulers with connections of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = connect(Settings(redis_url=url))
        self.ids: list[str] = []

    def set(self, count: int, expression: str = "every(1m)", **recurrence: object) -> None:
        """Make schedules at `NOW`."""
        told = Recurrence(expression, **recurrence)  # type: ignore[arg-type]
        wanted = Wanted("q", Spec(target="http://127.0.0.1:1/"), told)
        use = Scheduling(self.client, NOW)
        self.ids += [use.set(ENV, None, wanted)[0].id for _ in range(count)]

    def scheduler(self, now: int | None, url: str | None = None) -> Firing:
        """A new scheduler at `now`."""
        return Firing(ScheduleStore(connect(Settings(redis_url=url or self.url)), now))

    def fire(self, now: int) -> None:
        """Let a new scheduler do all that is due at `now`."""
        work(self.scheduler(now))

    def runs(self) -> Counter[str]:
        """How often each occurrence was pushed: every job is still there."""
        found = self.client.scan_iter(f"lq:{ENV}:job:*", count=1_000)
        names: list[Any] = [self.client.hget(name, "occurrence") for name in found]
        return Counter(name.decode() for name in names if name)

    def expected(self, *runs: int) -> Counter[str]:
        """Each of these runs (ms after `NOW`) of every schedule, once."""
        return Counter(f"{each}_{NOW + run}" for each in self.ids for run in runs)


def work(firing: Firing) -> None:
    """Poll as long as something is due."""
    while firing.poll() == 0:
        continue


@pytest.fixture
def site(redis_url: str) -> Iterator[Site]:
    """A site on an empty Redis."""
    site = Site(redis_url)
    yield site
    site.client.close()


def test_killed_before_it_fires(site: Site, record_property: Record) -> None:
    site.set(250)
    store = ScheduleStore(site.client, NOW + M)
    assert [plan(each, NOW + M, 0) for each in store.due(100).schedules] != []
    site.fire(NOW + M + 8 * S)
    assert site.runs() == site.expected(M)
    record_property("fault", "F19 scheduler killed, runs read, not fired: the next one fires them")


def test_killed_after_it_fired(site: Site, record_property: Record) -> None:
    """Once after each of its steps."""
    site.set(250)
    for _ in range(3):
        assert site.scheduler(NOW + M).poll() == 0
    assert site.scheduler(NOW + M).poll() > 0
    site.fire(NOW + M + 8 * S)
    assert site.runs() == site.expected(M)
    record_property("fault", "F20 scheduler killed after each step: nothing is fired again")


def test_the_reply_is_lost(tmp_path: Path, site: Site) -> None:
    """The client sends the script again, and it finds the runs fired."""
    site.set(5, overlap="allow")
    upstream = Path(site.client.connection_pool.connection_kwargs["path"])
    site.fire(NOW)  # the script is known, so that each call carries its SHA
    with Proxy(upstream, tmp_path) as proxy:
        firing = site.scheduler(NOW + M, proxy.url)
        sides: list[Literal["request", "reply"]] = ["reply", "request"]
        for side in sides:
            hold = proxy.hold("fire", side)
            worker = threading.Thread(target=work, args=[firing])
            worker.start()
            hold.wait()
            hold.lose()
            worker.join(20)
            assert not worker.is_alive()
            assert site.runs() == site.expected(M) + (
                site.expected(2 * M) if side == "request" else Counter()
            )
            firing._store.now = NOW + 2 * M


def test_three_at_once(site: Site, record_property: Record) -> None:
    """All look at the same moment, twenty times."""
    site.set(150)
    looks, barrier, failed = 20, threading.Barrier(3), list[BaseException]()

    def schedule() -> None:
        try:
            for look in range(1, looks + 1):
                barrier.wait(20)
                site.fire(NOW + look * M)
        except BaseException as error:
            failed.append(error)
            barrier.abort()
            raise

    threads = [threading.Thread(target=schedule) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failed
    assert site.runs() == site.expected(*(M * look for look in range(1, looks + 1)))
    record_property("fault", "F22 three schedulers at once, 3 000 runs: each pushed once")


def test_changes_beside_a_scheduler(site: Site) -> None:
    """What is changed all the time loses no run and doubles none."""
    site.set(1)
    stop = threading.Event()
    changes = Counter[str]()

    def change() -> None:
        while not stop.is_set():
            use = Scheduling(site.client, clock[0])
            use.change(ENV, site.ids[0], ScheduleChange({"payload": b"%d" % changes.total()}))
            changes["made"] += 1

    clock = [NOW]
    changer = threading.Thread(target=change)
    changer.start()
    for look in range(1, 201):
        clock[0] = NOW + look * M
        site.fire(clock[0])
    stop.set()
    changer.join(20)
    assert changes["made"] > 100
    assert site.runs() == site.expected(*(M * look for look in range(1, 201)))


def test_redis_is_away_for_five_seconds(tmp_path: Path, record_property: Record) -> None:
    with EmbeddedRedis(tmp_path, append_only=True) as server:
        site = Site(server.url)
        site.set(20, "every(2s)")
        firing = site.scheduler(NOW)
        for second in range(1, 4):
            firing._store.now = NOW + second * S
            work(firing)
        server.stop()
        for second in range(4, 9):
            firing._store.now = NOW + second * S
            with pytest.raises(StorageUnavailable):
                firing.poll()
        server.start()
        firing._store.now = NOW + 9 * S
        work(firing)
        assert site.runs() == site.expected(2 * S, 4 * S, 6 * S, 8 * S)
        site.client.close()
    record_property("fault", "F24 Redis away for 5 s: the runs of that time are made, once")


@pytest.mark.parametrize("off", [H, -H])
def test_a_machine_has_a_wrong_clock(
    site: Site, off: int, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    """Redis' clock alone decides: here it's the real one."""
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + off / S)
    monkeypatch.setattr(time, "time_ns", lambda: int((true_time() + off / S) * 1e9))
    begin = int(true_time() * S)
    wanted = Wanted("q", Spec(target="http://127.0.0.1:1/"), Recurrence("every(1s)"))
    made, _ = Scheduling(site.client).set(ENV, None, wanted)
    assert 0 <= made.created - begin < 10 * S
    firing = site.scheduler(None)
    while len(site.runs()) < 2:
        pause = firing.poll()
        time.sleep(pause)
    end = int(true_time() * S)
    runs = sorted(int(name.rpartition("_")[2]) for name in site.runs())
    assert runs[:2] == [made.anchor + S, made.anchor + 2 * S]
    assert runs[-1] <= end
    assert set(site.runs().values()) == {1}
    record_property("fault", f"F37 a scheduler's clock {off // H:+} h off: runs by Redis' clock")


@pytest.mark.parametrize(
    ("misfire", "made"),
    [
        ("once", [25 * 7 * M]),
        ("skip", []),
        ("all", [7 * M * n for n in range(1, 26)]),
    ],
)
def test_a_downtime_of_three_hours(
    site: Site, misfire: Misfire, made: list[int], record_property: Record
) -> None:
    """Every seven minutes: 25 runs missed, the newest at 2:55, looked at at 3:00."""
    site.set(120, "every(7m)", misfire=misfire)
    for _ in range(2):  # the scheduler that makes up for it is killed half-way
        assert site.scheduler(NOW + 3 * H).poll() == 0
    site.fire(NOW + 3 * H)
    site.fire(NOW + 3 * H)
    assert site.runs() == site.expected(*made)
    site.fire(NOW + 26 * 7 * M)
    assert site.runs() == site.expected(*made, 26 * 7 * M)
    record_property("fault", f"three hours down, misfire {misfire}: {len(made)} of 25 runs made")


def test_a_fresh_redis_without_scripts(site: Site) -> None:
    site.set(3)
    with redis.Redis.from_url(site.url) as client:
        client.script_flush()
    site.fire(NOW + M)
    assert site.runs() == site.expected(M)
