"""Timers over HTTP, and when they run: with a clock that is passed in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.errors import NotFound
from lambdaqueue.instants import iso, parse_instant
from lambdaqueue.job import Job
from lambdaqueue.schedule import Schedule, plan
from lambdaqueue.schedules import ScheduleChanged, ScheduleStore
from lambdaqueue.scheduling import Scheduling
from lambdaqueue.service import Service
from lambdaqueue.timer import QUEUE, TimerSpec
from lambdaqueue.timers import Timers
from tests.api.conftest import TARGET, Api, Tenant, codes, paths
from workers.firing import Firing

ENV = keys.DEFAULT_ENVIRONMENT
NOON = parse_instant("2026-03-01T12:00:00Z")
MINUTE, HOUR = 60_000, 3_600_000
DATA = TimerSpec(b"{}", TARGET)
ODD_IDS = ["a", "a/b", "/a", "a/", "Straße 7", 'say "hi"', "50%", "a:b|c", "x" * 255, "pause"]


class Clockwork:
    """Timers and a scheduler's step on one Redis, at a time that the test moves."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.now = NOON

    @property
    def timers(self) -> Timers:
        return Timers(self.client, self.now)

    def store(self, collection: keys.Collection = "periodic") -> ScheduleStore:
        return ScheduleStore(self.client, self.now, collection)

    def schedule(self, timer_id: str, collection: keys.Collection = "periodic") -> Schedule:
        found = self.store(collection).read_by_key(ENV, timer_id)
        assert found is not None
        return found

    def fire(self) -> list[Job]:
        """Fire until nothing is due; return all jobs of the timers' queue, the oldest first."""
        firing = Firing(self.store("schedules"))
        while firing.poll() == 0.0:
            pass
        return list(Service(self.client).items(ENV, QUEUE, None, 1_000, None).rows)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def clockwork(client: redis.Redis) -> Clockwork:
    return Clockwork(client)


def path(kind: str, timer_id: str) -> str:
    return f"/{kind}/{quote(timer_id, safe='')}"


class TestAnswers:
    @pytest.mark.parametrize("timer_id", ODD_IDS)
    @pytest.mark.parametrize(
        ("kind", "needed", "type_"),
        [("periodic", {}, "hourlyPeriodic"), ("timers", {"delay": HOUR}, "timer")],
        ids=["periodic", "once"],
    )
    def test_its_life(
        self, api: Api, kind: str, needed: dict[str, Any], type_: str, timer_id: str
    ) -> None:
        where = path(kind, timer_id)
        for _ in range(2):
            gone = api("GET", where)
            assert (gone.status_code, gone.json) == (404, timer_id)
            assert gone.content_type == "application/json"
            made = api("PUT", where, json=needed)
            assert made.status_code == 200
            shown = dict(made.json or {})
            minute = shown.pop("timeShardId")
            assert minute == f"{int(minute[:2]):02d}:{timer_id}"
            data = {"id": timer_id, "type": type_}
            assert shown == {"id": timer_id, "shardId": "shard0", "timerCallbackData": data}
            assert api("GET", where).json == made.json
            for _ in range(2):
                dropped = api("DELETE", where)
                assert (dropped.status_code, dropped.json) == (200, timer_id)

    @pytest.mark.parametrize("kind", ["periodic", "timers"])
    @pytest.mark.parametrize("data", [None, 0, "text", [1, {"z": 1, "a": 12345678901234567890}]])
    def test_data_and_shard(self, api: Api, kind: str, data: object) -> None:
        body: dict[str, Any] = {"timerCallbackData": data, "shardId": "shard7"}
        body |= {"delay": 10} if kind == "timers" else {}
        made = api("PUT", path(kind, "t"), data=json.dumps(body), content_type="application/json")
        assert made.json is not None
        assert (made.json["timerCallbackData"], made.json["shardId"]) == (data, "shard7")
        compact = json.dumps(data, separators=(",", ":"))
        assert made.text.endswith(f'"timerCallbackData":{compact}}}')

    def test_the_minute_of_the_hour_is_shown(self, api: Api) -> None:
        made = api("PUT", "/periodic/t", json={"minuteOfHour": 7})
        assert made.json is not None
        assert made.json["timeShardId"] == "07:t"
        ahead = int(time.time() * 1_000) // HOUR * HOUR + 5 * HOUR + 9 * MINUTE
        at = api("PUT", "/timers/t", json={"at": iso(ahead)})
        assert at.json is not None
        assert at.json["timeShardId"] == "09:t"

    def test_a_periodic_one_needs_no_body(self, api: Api) -> None:
        assert api("PUT", "/periodic/t").status_code == 200

    @pytest.mark.parametrize(
        ("kind", "body", "path", "code"),
        [
            ("periodic", {"minuteOfHour": 60}, "minuteOfHour", "out_of_range"),
            ("periodic", {"minuteOfHour": -1}, "minuteOfHour", "out_of_range"),
            ("periodic", {"minuteOfHour": "5"}, "minuteOfHour", "not_integer"),
            ("periodic", {"minuteOfHour": True}, "minuteOfHour", "not_integer"),
            ("periodic", {"every": "0h"}, "every", "bad_interval"),
            ("periodic", {"every": "1 h"}, "every", "bad_interval"),
            ("periodic", {"every": "1w"}, "every", "bad_interval"),
            ("periodic", {"every": "36501d"}, "every", "out_of_range"),
            ("periodic", {"every": 5}, "every", "not_text"),
            ("periodic", {"target": "http://10.0.0.1/"}, "target", None),
            ("periodic", {"shardId": ""}, "shardId", "bad_length"),
            ("periodic", {"shardId": "a\nb"}, "shardId", "control_character"),
            ("periodic", {"at": iso(NOON)}, "at", "unknown_field"),
            ("periodic", {"timerCallbackData": "x" * 262_143}, "timerCallbackData", "too_large"),
            ("timers", {}, "at", "required"),
            ("timers", {"at": iso(NOON), "delay": 1}, "at", "delay_and_at"),
            ("timers", {"at": "2026-03-01T12:00:00"}, "at", "not_instant"),
            ("timers", {"at": "2999-03-01T12:00:00Z"}, "at", "out_of_range"),
            ("timers", {"delay": -1}, "delay", "out_of_range"),
            ("timers", {"delay": 31_622_400_001}, "delay", "out_of_range"),
            ("timers", {"delay": 1, "every": "1h"}, "every", "unknown_field"),
        ],
    )
    def test_what_is_refused(
        self, api: Api, kind: str, body: dict[str, Any], path: str, code: str | None
    ) -> None:
        refused = api("PUT", f"/{kind}/t", json=body)
        assert refused.status_code == 422
        assert paths(refused) == [[path]]
        assert code is None or codes(refused) == [code]
        assert api("GET", f"/{kind}/t").status_code == 404

    @pytest.mark.parametrize(
        ("timer_id", "code"), [("x" * 256, "bad_length"), ("a\x00b", "control_character")]
    )
    @pytest.mark.parametrize("kind", ["periodic", "timers"])
    def test_ids_that_are_refused(self, api: Api, kind: str, timer_id: str, code: str) -> None:
        refused = api("PUT", path(kind, timer_id), json={"delay": 1} if kind == "timers" else {})
        assert (refused.status_code, codes(refused), paths(refused)) == (422, [code], [["id"]])
        assert api("GET", path(kind, timer_id)).status_code == 404

    def test_kinds_and_environments_are_apart(
        self, api: Api, tenant: Callable[[str], Tenant], client: redis.Redis
    ) -> None:
        other = tenant("other").api
        api("PUT", "/periodic/t", json={"timerCallbackData": 1})
        assert api("GET", "/timers/t").status_code == 404
        assert other("GET", "/periodic/t").status_code == 404
        other("PUT", "/periodic/t", json={"timerCallbackData": 2})
        assert other("DELETE", "/timers/t").status_code == 200
        mine = api("GET", "/periodic/t")
        assert mine.json is not None
        assert mine.json["timerCallbackData"] == 1

    def test_schedules_and_timers_know_nothing_of_each_other(
        self, client: redis.Redis, clockwork: Clockwork
    ) -> None:
        clockwork.timers.set_periodic(ENV, "t", DATA, "1h", None)
        hidden = clockwork.schedule("t")
        scheduling = Scheduling(client, NOON)
        assert scheduling.schedules(ENV, 10, None).rows == ()
        with pytest.raises(NotFound):
            scheduling.schedule(ENV, hidden.id)
        with pytest.raises(NotFound):
            scheduling.by_key(ENV, "t")
        with pytest.raises(NotFound):
            clockwork.timers.once(ENV, "t")


class TestPhase:
    @pytest.mark.parametrize(
        ("now", "every", "minute", "first"),
        [
            ("12:00:00.000", "1h", None, "13:00:00.000"),
            ("12:34:56.789", "90s", None, "12:36:26.789"),
            ("12:34:56.789", "1h", 40, "12:40:00.000"),
            ("12:34:56.789", "1h", 34, "13:34:00.000"),
            ("12:34:00.000", "1h", 34, "13:34:00.000"),  # strictly after now
            ("12:33:59.999", "1h", 34, "12:34:00.000"),
            ("12:34:56.789", "30m", 0, "13:00:00.000"),
        ],
    )
    def test_the_first_run(
        self, clockwork: Clockwork, now: str, every: str, minute: int | None, first: str
    ) -> None:
        clockwork.now = parse_instant(f"2026-03-01T{now}Z")
        clockwork.timers.set_periodic(ENV, "t", DATA, every, minute)
        expected = parse_instant(f"2026-03-01T{first}Z")
        schedule = clockwork.schedule("t")
        assert schedule.next_run == expected
        assert schedule.recurrence.timetable.next_after(expected, schedule.anchor) == (
            expected + (schedule.recurrence.timetable.shortest_interval() or 0)
        )

    @pytest.mark.parametrize(
        ("first", "again", "kept"),
        [
            (("1h", None), ("1h", None), True),
            (("1h", None), ("60m", None), True),
            (("1h", 5), ("1h", 5), True),
            (("1h", None), ("2h", None), False),
            (("1h", 5), ("2h", 5), False),
            (("1h", 5), ("1h", 6), False),
            (("1h", 5), ("1h", None), False),
            (("1h", None), ("1h", 5), False),
        ],
    )
    def test_what_moves_it(
        self,
        clockwork: Clockwork,
        first: tuple[str, int | None],
        again: tuple[str, int | None],
        kept: bool,
    ) -> None:
        clockwork.timers.set_periodic(ENV, "t", DATA, *first)
        before = clockwork.schedule("t")
        clockwork.now += 17 * MINUTE + 3
        made = clockwork.timers.set_periodic(ENV, "t", TimerSpec(b"2", None, "s"), *again)
        after = clockwork.schedule("t")
        assert (after.next_run == before.next_run and after.anchor == before.anchor) is kept
        assert after.id == before.id
        assert kept or (after.next_run or 0) > clockwork.now
        assert (made.data, made.shard) == (b"2", "s")
        assert (after.spec.payload, after.spec.target) == (b"2", None)

    def test_the_same_again_changes_nothing(self, clockwork: Clockwork) -> None:
        clockwork.timers.set_periodic(ENV, "t", DATA, "1h", 5)
        before = clockwork.schedule("t")
        clockwork.now += 20 * HOUR
        clockwork.timers.set_periodic(ENV, "t", DATA, "1h", 5)
        assert clockwork.schedule("t") == before

    def test_a_firing_between_reading_and_writing_is_not_undone(
        self, clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever changes the data just when it fires gets no second run of it."""
        clockwork.timers.set_periodic(ENV, "t", DATA, "1h", 5)
        clockwork.now = NOON + 5 * MINUTE
        put, late = ScheduleStore.put, [clockwork.fire]

        def put_later(store: ScheduleStore, schedule: Schedule, made_from: int) -> None:
            while late:
                late.pop()()
            put(store, schedule, made_from)

        monkeypatch.setattr(ScheduleStore, "put", put_later)
        clockwork.timers.set_periodic(ENV, "t", TimerSpec(b"2", TARGET), "1h", 5)
        assert clockwork.schedule("t").next_run == NOON + HOUR + 5 * MINUTE
        assert len(clockwork.fire()) == 1


class TestFiring:
    def test_what_it_pushes(self, clockwork: Clockwork) -> None:
        spec = TimerSpec(b'{"a": 1}', TARGET)
        clockwork.timers.set_periodic(ENV, "t/1", spec, "1h", 5)
        clockwork.now += 5 * MINUTE - 1
        assert clockwork.fire() == []
        clockwork.now += 1
        (job,) = clockwork.fire()
        assert (job.queue, job.spec.payload, job.target) == ("periodic", b'{"a": 1}', TARGET)
        assert (job.spec.content_type, job.spec.method) == ("application/json", "POST")
        assert job.spec.schedule_key == "t/1"
        assert job.due_at == clockwork.now
        clockwork.now += HOUR
        assert len(clockwork.fire()) == 2

    def test_every_timer_of_one_minute_fires(self, clockwork: Clockwork) -> None:
        for number in range(350):
            clockwork.timers.set_periodic(ENV, f"t{number}", TimerSpec(b"%d" % number), "1h", 5)
        clockwork.now += 5 * MINUTE
        assert sorted(int(job.spec.payload) for job in clockwork.fire()) == list(range(350))

    @pytest.mark.parametrize(
        ("minutes", "jobs"), [(5, 1), (6, 1), (64, 1), (65, 2), (3 * 60 + 30, 4)]
    )
    def test_missed_minutes_are_made_up(
        self, clockwork: Clockwork, minutes: int, jobs: int
    ) -> None:
        """With the first run at 12:05, each hour's is made up, however late it is."""
        clockwork.timers.set_periodic(ENV, "t", DATA, "1h", 5)
        clockwork.now += minutes * MINUTE
        made = clockwork.fire()
        stamps = [(job.occurrence or "").rpartition("_")[2] for job in made]
        first = NOON + 5 * MINUTE
        assert [int(stamp) for stamp in stamps] == [first + n * HOUR for n in range(jobs)]
        assert clockwork.schedule("t").next_run == first + jobs * HOUR

    @pytest.mark.parametrize(
        ("at", "delay", "due"),
        [
            (NOON + 1, 0, NOON + 1),
            (NOON - 5 * HOUR, 0, NOON),
            (None, 0, NOON),
            (None, 250, NOON + 250),
            (None, 366 * 24 * HOUR, NOON + 366 * 24 * HOUR),
        ],
    )
    @pytest.mark.parametrize("late", [0, 1, 3 * HOUR, 500 * 24 * HOUR])
    def test_one_that_runs_once_is_gone_with_it(
        self, clockwork: Clockwork, at: int | None, delay: int, due: int, late: int
    ) -> None:
        clockwork.timers.set_once(ENV, "t", DATA, at=at, delay=delay)
        assert clockwork.schedule("t", "timers").next_run == due
        clockwork.now = due + late
        (job,) = clockwork.fire()
        assert (job.due_at, (job.occurrence or "").rpartition("_")[2]) == (due + late, str(due))
        assert len(clockwork.fire()) == 1
        with pytest.raises(NotFound):
            clockwork.timers.once(ENV, "t")
        left = [
            *clockwork.client.scan_iter("lq:*schedule*"),
            *clockwork.client.scan_iter("lq:*timers*"),
        ]
        assert left == []

    @pytest.mark.parametrize("kind", ["periodic", "once"])
    def test_two_schedulers_that_look_at_once_fire_it_once(
        self, clockwork: Clockwork, kind: str
    ) -> None:
        if kind == "periodic":
            clockwork.timers.set_periodic(ENV, "t", DATA, "1h", 5)
        else:
            clockwork.timers.set_once(ENV, "t", DATA, at=None, delay=5 * MINUTE)
        clockwork.now += 5 * MINUTE
        store = clockwork.store("schedules")
        looks = [store.due(10).schedules for _ in range(2)]
        fired = [store.fire(plan(each, clockwork.now, 0.0) for each in look) for look in looks]
        assert [len(ids) for ids in fired[0]] == [1]
        assert fired[1] == [[]]
        assert len(clockwork.fire()) == 1

    def test_one_that_runs_once_can_be_put_off(self, clockwork: Clockwork) -> None:
        clockwork.timers.set_once(ENV, "t", DATA, at=None, delay=HOUR)
        clockwork.now += MINUTE
        clockwork.timers.set_once(ENV, "t", DATA, at=None, delay=HOUR)
        clockwork.now += HOUR - 1
        assert clockwork.fire() == []
        clockwork.now += 1
        assert len(clockwork.fire()) == 1

    def test_one_that_fired_can_be_set_again(self, clockwork: Clockwork) -> None:
        for count in (1, 2):
            clockwork.timers.set_once(ENV, "t", DATA, at=None, delay=0)
            assert len(clockwork.fire()) == count

    @pytest.mark.parametrize("kind", ["periodic", "once"])
    def test_a_dropped_one_never_fires(self, clockwork: Clockwork, kind: str) -> None:
        timers = clockwork.timers
        if kind == "periodic":
            timers.set_periodic(ENV, "t", DATA, "1h", 5)
            timers.drop_periodic(ENV, "t")
        else:
            timers.set_once(ENV, "t", DATA, at=None, delay=0)
            timers.drop_once(ENV, "t")
        clockwork.now += 9 * HOUR
        assert clockwork.fire() == []
        assert list(clockwork.client.scan_iter("lq:*schedule*")) == []

    def test_a_timer_keeps_no_list_of_its_runs(self, clockwork: Clockwork) -> None:
        clockwork.timers.set_periodic(ENV, "t", DATA, "1h", 5)
        clockwork.now += HOUR
        assert len(clockwork.fire()) == 1
        assert list(clockwork.client.scan_iter("lq:*:schedule_runs:*")) == []

    def test_a_timer_set_by_two_at_once_is_one(
        self, clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second one finds the first one's and changes that."""
        put, rival = ScheduleStore.put, [lambda: clockwork.timers.set_once(
            ENV, "t", TimerSpec(b"1"), at=None, delay=HOUR
        )]  # fmt: skip
        conflicts: list[bool] = []

        def put_later(store: ScheduleStore, schedule: Schedule, made_from: int) -> None:
            while rival:
                rival.pop()()
            try:
                put(store, schedule, made_from)
            except ScheduleChanged:
                conflicts.append(True)
                raise

        monkeypatch.setattr(ScheduleStore, "put", put_later)
        clockwork.timers.set_once(ENV, "t", TimerSpec(b"2"), at=None, delay=MINUTE)
        assert conflicts == [True]
        clockwork.now += 2 * HOUR
        assert [job.spec.payload for job in clockwork.fire()] == [b"2"]
