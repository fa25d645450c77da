"""Replay: ended items pushed again, one of them or many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import redis
from flask import Flask

from api import idempotency
from lambdaqueue import keys, replaying
from lambdaqueue.attempts import Kind
from lambdaqueue.commands import HistoryFilter
from lambdaqueue.identity import Actor
from lambdaqueue.instants import parse_instant
from lambdaqueue.job import State
from lambdaqueue.rate import Rate
from lambdaqueue.replaying import Replayed, ReplayOrder
from tests.api.conftest import TARGET, Api, codes, parts_of, paths
from tests.api.service_calls import ENV, Crew, body_of, define, run
from tests.store.world import at_once

OTHER = "http://127.0.0.1:9/other"
MANY = "/queues/mail/history/replay"
DAY = 86_400_000


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def end(app: Flask, kind: Kind = Kind.FAILED) -> None:
    """End everything that is due."""
    crew = Crew(parts_of(app).client)
    while claims := at_once(crew.store.claim(100)).claims:
        for crew.claim in claims:
            assert crew.answer(kind, error="http_500: no" if kind is Kind.FAILED else "")


def ended(api: Api, app: Flask, *payloads: object, **options: Any) -> list[dict[str, Any]]:
    """Push items and let them fail; return their entries, the newest first."""
    items = [{"payload": each, "target": TARGET, **options} for each in payloads]
    assert api.batch(*items).status_code == 201
    end(app)
    return entries(api)[: len(payloads)]


def entries(api: Api, query: str = "") -> list[dict[str, Any]]:
    return list(body_of(api("GET", f"/queues/mail/history?limit=1000{query}"))["entries"])


def waiting(api: Api) -> list[dict[str, Any]]:
    return list(body_of(api("GET", "/queues/mail/items?limit=1000"))["items"])


def replayed(api: Api) -> list[dict[str, Any]]:
    """Return what replays have pushed, whether it waits or has ended."""
    return [each for each in (*waiting(api), *entries(api)) if "replayOf" in each]


def payloads(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["payload"] for row in rows]


def one(api: Api, entry: str, body: object = None, **headers: str) -> Any:
    path = f"/queues/mail/history/{entry}/replay"
    return api("POST", path, headers=headers, **({} if body is None else {"json": body}))


class TestOne:
    OPTIONS = (
        {
            "method": "PUT",
            "headers": {"x-a": "b"},
            "retry": {"type": "constant", "delay": 7, "retries": 0},
            "timeout": 5_000,
            "maxAge": 60_000,
            "eventType": "a.b",
            "priority": 7,
            "contentType": "text/plain",
            "async": 60_000,
            "heartbeat": 6_000,
        },
    )

    @pytest.mark.parametrize("options", OPTIONS)
    def test_all_that_it_was_pushed_with(
        self, api: Api, app: Flask, options: dict[str, Any]
    ) -> None:
        (old,) = ended(api, app, "hi", key="k", **options)
        new = body_of(one(api, old["entry"]), 201)
        assert new["replayOf"] == old["id"] != new["id"]
        assert (new["state"], new["version"], new["attempt"]) == ("PENDING", 1, 0)
        same = ("target", "payload", "payloadType", "priority", "async", "heartbeat", "maxAttempts")
        assert [new[name] for name in same] == [old[name] for name in same]
        assert "key" not in new
        specs = [parts_of(app).service.item(ENV, each["id"]).spec for each in (old, new)]
        for name in ("headers", "retry", "timeout", "max_age", "event_type", "terms", "payload"):
            assert getattr(specs[0], name) == getattr(specs[1], name), name
        assert body_of(api("GET", f"/items/{new['id']}")) == new
        end(app)
        assert entries(api)[0]["replayOf"] == old["id"]
        # The old one stays as it was.
        assert body_of(api("GET", f"/items/{old['id']}")) == old

    def test_another_target(self, api: Api, app: Flask) -> None:
        (old,) = ended(api, app, 1, method="PUT")
        new = body_of(one(api, old["entry"], {"target": OTHER}), 201)
        assert new["target"] == {"url": OTHER, "method": "PUT"}

    def test_a_cancelled_one(self, api: Api, app: Flask) -> None:
        made = body_of(api.push(payload=b"[1]", delay="60000", key="k"), 201)
        api("DELETE", f"/items/{made['id']}")
        (old,) = entries(api)
        assert body_of(one(api, old["entry"]), 201)["payload"] == [1]

    def test_of_a_schedule(self, api: Api, app: Flask) -> None:
        wanted = {"queue": "mail", "schedule": "@daily", "target": TARGET, "payload": 1}
        api("PUT", "/schedules/byKey/k", json=wanted)
        api("POST", "/schedules/byKey/k/run")
        end(app)
        (old,) = entries(api)
        assert {"scheduleId", "occurrence"} <= old.keys()
        new = body_of(one(api, old["entry"]), 201)
        assert not {"scheduleId", "occurrence"} & new.keys()

    def test_of_a_message(self, api: Api, app: Flask) -> None:
        sent = {"payload": 1, "url": TARGET, "attempt": 3}
        made = body_of(api("POST", "/messages", json=sent), 202)
        end(app)
        old = body_of(api("GET", f"/items/{made['id']}"))
        path = f"/queues/messages/history/{old['entry']}/replay"
        new = body_of(api("POST", path), 201)
        specs = [parts_of(app).service.item(ENV, each["id"]).spec for each in (old, new)]
        assert specs[0].message == specs[1].message is not None

    def test_the_queues_target_of_today(self, api: Api, app: Flask) -> None:
        api("PUT", "/queues/mail", json={"target": TARGET})
        made = api("POST", "/queues/mail/items", data=b"1", headers={"Content-Type": "text/plain"})
        assert made.status_code == 201
        end(app)
        (old,) = entries(api)
        api("PUT", "/queues/mail", json={"target": OTHER})
        assert body_of(one(api, old["entry"]), 201)["target"]["url"] == OTHER
        api("PUT", "/queues/mail", json={})
        refused = one(api, old["entry"])
        assert refused.status_code == 422
        assert (paths(refused), codes(refused)) == ([["target"]], ["required"])
        assert body_of(one(api, old["entry"], {"target": TARGET}), 201)["state"] == "PENDING"

    def test_a_completed_one(self, api: Api, app: Flask) -> None:
        api.push()
        end(app, Kind.COMPLETED)
        (old,) = entries(api)
        refused = one(api, old["entry"])
        assert refused.status_code == 409
        assert "payload" in refused.text
        assert waiting(api) == []

    def test_an_execution(self, api: Api, app: Flask) -> None:
        define(api)
        name = run(api)
        api("POST", f"/executions/{name}/cancel")
        old = body_of(api("GET", f"/items/{name}"))
        refused = api("POST", f"/queues/{old['queue']}/history/{old['entry']}/replay")
        assert refused.status_code == 409
        assert "retry" in refused.text

    @pytest.mark.parametrize(
        "entry", ["f1-0", "c1-0", "x", "f", "f0-0", "f1", "f1-", "f1-0-1", "f+", "f-", "%00", "*"]
    )
    def test_absent(self, api: Api, app: Flask, entry: str) -> None:
        ended(api, app, 1)
        assert one(api, entry).status_code == 404

    def test_of_another_queue(self, api: Api, app: Flask) -> None:
        (old,) = ended(api, app, 1)
        path = f"/queues/other/history/{old['entry']}/replay"
        assert api("POST", path).status_code == 404

    @pytest.mark.parametrize(
        "body", [{"target": "ftp://x"}, {"target": None}, {"target": 1}, {"key": "k"}], ids=str
    )
    def test_bad_bodies(self, api: Api, app: Flask, body: object) -> None:
        (old,) = ended(api, app, 1)
        assert one(api, old["entry"], body).status_code == 422
        assert waiting(api) == []

    def test_the_same_request_again(self, api: Api, app: Flask) -> None:
        (old,) = ended(api, app, 1)
        key = {"Idempotency-Key": "i"}
        first = one(api, old["entry"], {"target": OTHER}, **key)
        # Even when its entry has left history.
        api("PUT", "/queues/mail", json={"failedLimit": 0})
        ended_since = body_of(api.push(delay="60000", key="x"), 201)
        api("DELETE", f"/items/{ended_since['id']}")
        assert entries(api) == []
        again = one(api, old["entry"], {"target": OTHER}, **key)
        assert (again.status_code, again.json) == (201, first.json)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert len(waiting(api)) == 1
        assert one(api, old["entry"], {"target": TARGET}, **key).status_code == 422

    def test_a_try_that_died_after_its_push(
        self, api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (old,) = ended(api, app, 1)
        monkeypatch.setattr(idempotency, "IN_WORK", 0)
        with monkeypatch.context() as dying:
            dying.setattr(type(parts_of(app).first_answers), "finish", _die)
            with pytest.raises(AssertionError):
                one(api, old["entry"], **{"Idempotency-Key": "i"})
        (first,) = waiting(api)
        again = one(api, old["entry"], **{"Idempotency-Key": "i"})
        assert body_of(again, 201)["id"] == first["id"]
        assert len(waiting(api)) == 1

    def test_the_audit(self, api: Api, app: Flask) -> None:
        (old,) = ended(api, app, 1)
        one(api, old["entry"])
        noted = body_of(api("GET", "/audit"))["entries"][0]
        assert (noted["action"], noted["object"]) == ("queue.replay", f"mail {old['entry']}")


def _die(*_: object) -> None:
    raise RuntimeError("killed")


class TestMany:
    def test_the_failed_ones(self, api: Api, app: Flask) -> None:
        ended(api, app, *range(5))
        cancelled = body_of(api.push(payload=b'"no"', delay="60000"), 201)["id"]
        api("DELETE", f"/items/{cancelled}")
        api.push(payload=b'"done"')
        end(app, Kind.COMPLETED)
        old = entries(api, "&state=FAILED")
        done = body_of(api("POST", MANY), 201)
        assert done == {"replayed": 5, "more": False}
        new = waiting(api)
        assert payloads(new) == payloads(old)  # ids sort by their pushes: the newest first
        assert [each["replayOf"] for each in new] == [each["id"] for each in old]

    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            ({"state": "FAILED", "key": "a"}, ["a"]),
            ({"state": "CANCELLED"}, ["gone"]),
            ({"key": "none"}, []),
            ({"since": "2020-01-01T00:00:00Z", "until": "2120-01-01T00:00:00Z"}, ["b", "a"]),
            ({"until": "2020-01-01T00:00:00Z"}, []),
            ({"limit": 1}, ["b"]),
            ({"target": OTHER, "limit": 10_000}, ["b", "a"]),
        ],
        ids=str,
    )
    def test_filters(
        self, api: Api, app: Flask, order: dict[str, Any], expected: list[str]
    ) -> None:
        for key in "ab":
            ended(api, app, key, key=key)
        made = body_of(api.push(payload=b'"gone"', delay="60000"), 201)
        api("DELETE", f"/items/{made['id']}")
        done = body_of(api("POST", MANY, json=order), 201)
        assert (done["replayed"], done["more"]) == (
            len(expected),
            "limit" in order and done["more"],
        )
        assert payloads(waiting(api)) == expected
        target = order.get("target", TARGET)
        assert {each["target"]["url"] for each in waiting(api)} <= {target}

    @pytest.mark.parametrize("chunk", [1, 2, 500])
    def test_going_on(
        self, api: Api, app: Flask, chunk: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replaying, "CHUNK", chunk)
        ended(api, app, *range(7))
        done = body_of(api("POST", MANY, json={"limit": 3}), 201)
        assert (done["replayed"], done["more"]) == (3, True)
        # What fails meanwhile is newer: whoever goes on doesn't meet it.
        end(app)
        done = body_of(api("POST", MANY, json={"limit": 3, "cursor": done["nextCursor"]}), 201)
        assert (done["replayed"], done["more"]) == (3, True)
        done = body_of(api("POST", MANY, json={"limit": 3, "cursor": done["nextCursor"]}), 201)
        assert done == {"replayed": 1, "more": False}
        assert sorted(payloads(waiting(api))) == [0, 1, 2, 3]

    def test_a_rate(self, api: Api, app: Flask) -> None:
        ended(api, app, *range(5))
        rate = {"limit": 3, "period": 100_000}
        first = body_of(api("POST", MANY, json={"rate": rate, "limit": 3}), 201)
        second = {"rate": rate, "cursor": first["nextCursor"]}
        last = body_of(api("POST", MANY, json=second), 201)
        assert (last["replayed"], last["more"]) == (2, False)
        due = sorted(parse_instant(each["dueAt"]) for each in waiting(api))
        # 100 000 ms / 3, rounded down. The second call keeps the pace of the first; what is due at
        # once is so when it's stored.
        assert [at - due[1] for at in due[2:]] == [33_333, 66_667, 100_000]
        assert 32_000 < due[1] - due[0] <= 33_333
        assert [parse_instant(each["lastDueAt"]) for each in (first, last)] == [due[2], due[4]]

    def test_a_rate_that_leads_too_far(self, api: Api, app: Flask) -> None:
        """Nothing is due more than 366 days ahead: the rest is for later."""
        actor = Actor(ENV, "test")
        ended(api, app, *range(4))
        order = ReplayOrder(HistoryFilter(state=State.FAILED), rate=Rate(1, 183 * DAY))
        done = parts_of(app).replaying.replay_many(actor, "mail", order)
        assert done.count == 3  # now, in 183 and in 366 days
        rate = {"limit": 1, "period": DAY}
        refused = api("POST", MANY, json={"rate": rate, "cursor": done.cursor})
        assert refused.status_code == 422
        assert paths(refused) == [["rate"]]
        body = {"limit": 1, "cursor": done.cursor}
        assert body_of(api("POST", MANY, json=body), 201)["replayed"] == 1

    def test_large_payloads(self, api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(replaying, "CHUNK_BYTES", 1_000)
        monkeypatch.setattr(replaying, "MOST_BYTES", 3_000)
        ended(api, app, *("x" * 700 for _ in range(10)))
        seen, cursor = 0, dict[str, str]()
        while True:
            done = body_of(api("POST", MANY, json=cursor), 201)
            seen += done["replayed"]
            if not done["more"]:
                break
            assert done["replayed"] == 6  # chunks of two, until three have 3 000 bytes
            cursor = {"cursor": done["nextCursor"]}
        assert seen == len(waiting(api)) == 10

    def test_executions_are_left_out(self, api: Api, app: Flask) -> None:
        define(api)
        name = run(api)
        api("POST", f"/executions/{name}/cancel")
        queue = body_of(api("GET", f"/items/{name}"))["queue"]
        done = api("POST", f"/queues/{queue}/history/replay", json={"state": "CANCELLED"})
        assert body_of(done, 201) == {"replayed": 0, "more": False}

    def test_no_target(self, api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of the first chunk it's an error; later it's where the call ends."""
        monkeypatch.setattr(replaying, "CHUNK", 2)
        api("PUT", "/queues/mail", json={"target": TARGET})
        api.batch({"payload": 0})
        end(app)
        ended(api, app, 1, 2, 3)
        api("PUT", "/queues/mail", json={})
        done = body_of(api("POST", MANY), 201)
        assert (done["replayed"], done["more"]) == (2, True)
        refused = api("POST", MANY, json={"cursor": done["nextCursor"]})
        assert refused.status_code == 422
        assert (paths(refused), codes(refused)) == ([["target"]], ["required"])
        rest = {"cursor": done["nextCursor"], "target": TARGET}
        assert body_of(api("POST", MANY, json=rest), 201)["replayed"] == 2

    def test_no_queue(self, api: Api) -> None:
        assert api("POST", "/queues/none/history/replay").status_code == 404

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("state", "COMPLETED"),
            ("state", "RETRY"),
            ("state", None),
            ("key", ""),
            ("since", "2020-01-01"),
            ("until", 5),
            ("target", "ftp://x"),
            ("rate", 5),
            ("rate", {"limit": 1}),
            ("rate", {"limit": 1, "period": 1, "burst": 1}),
            ("rate", {"limit": 0, "period": 1}),
            ("limit", 0),
            ("limit", 10_001),
            ("limit", "5"),
            ("cursor", "x"),
            ("cursor", "1-1-c"),
            ("cursor", "1-1-f.x"),
            ("cursor", "0-1-f"),
            ("payload", 1),
        ],
    )
    def test_bad_orders(self, api: Api, app: Flask, field: str, value: object) -> None:
        ended(api, app, 1)
        refused = api("POST", MANY, json={field: value})
        assert refused.status_code == 422
        assert paths(refused)[0][0] == field
        assert waiting(api) == []

    def test_the_audit(self, api: Api, app: Flask) -> None:
        ended(api, app, 1)
        api("POST", MANY, json={})
        noted = body_of(api("GET", "/audit"))["entries"][0]
        assert (noted["action"], noted["object"]) == ("queue.replay", "mail FAILED")

    def test_a_replay_of_nothing_is_not_told(self, api: Api, app: Flask) -> None:
        ended(api, app, 1)
        assert body_of(api("POST", MANY, json={"state": "CANCELLED"}), 201)["replayed"] == 0
        assert told(api) == 0


class TestManyAgain:
    """The same request, under an Idempotency-Key."""

    KEY = {"Idempotency-Key": "i"}  # noqa: RUF012

    def test_after_its_answer(self, api: Api, app: Flask, client: redis.Redis) -> None:
        ended(api, app, *range(3))
        later(client)
        first = api("POST", MANY, json={}, headers=self.KEY)
        assert body_of(first, 201)["replayed"] == 3
        ended_since = ended(api, app, "new")
        again = api("POST", MANY, json={}, headers=self.KEY)
        assert (again.status_code, again.json) == (201, first.json)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert waiting(api) == []
        assert ended_since
        assert api("POST", MANY, json={"limit": 5}, headers=self.KEY).status_code == 422

    def die(self, api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch, dies_after: int) -> None:
        """Ask for a replay that dies after so many chunks, or before its answer is kept."""
        jobs = parts_of(app).replaying._jobs
        push, pushes = jobs._push, list[Any]()

        def push_or_die(*args: Any) -> Any:
            if len(pushes) == dies_after:
                raise RuntimeError("killed")
            pushes.append(args)
            return push(*args)

        with monkeypatch.context() as dying:
            dying.setattr(jobs, "_push", push_or_die)
            dying.setattr(type(parts_of(app).first_answers), "finish", _die)
            with pytest.raises(AssertionError):
                api("POST", MANY, json={"rate": RATE}, headers=self.KEY)

    @pytest.mark.parametrize("dies_after", [0, 1, 2, 3])
    @pytest.mark.parametrize("trimmed", [0, 1, 2, 3])
    def test_after_it_died(
        self,
        api: Api,
        app: Flask,
        client: redis.Redis,
        monkeypatch: pytest.MonkeyPatch,
        dies_after: int,
        trimmed: int,
    ) -> None:
        """No job is doubled, whatever ended or left history meanwhile."""
        monkeypatch.setattr(replaying, "CHUNK", 2)
        monkeypatch.setattr(idempotency, "IN_WORK", 0)
        old = [each["entry"] for each in ended(api, app, *range(5))]
        later(client)
        self.die(api, app, monkeypatch, dies_after)
        # The newest ones first: 4, 3 | 2, 1 | 0.
        stored = [4, 3, 2, 1, 0][: 2 * dies_after]
        assert sorted(payloads(waiting(api))) == sorted(stored)
        assert told(api) == min(dies_after, 1)
        parts_of(app).service._queues.forget_entries(ENV, "mail", State.FAILED, old[5 - trimmed :])
        # This fails meanwhile, and so does the first of the new ones, which was due at once.
        ended(api, app, "new")
        again = body_of(api("POST", MANY, json={"rate": RATE}, headers=self.KEY), 201)
        found = [each["replayOf"] for each in replayed(api)]
        assert len(found) == len(set(found))
        left = {4 - at for at in range(5 - trimmed)}
        assert set(payloads(replayed(api))) == left | set(stored)
        assert (again["replayed"], again["more"]) == (5 - trimmed, False)
        assert told(api) == 1
        due = sorted(parse_instant(each["dueAt"]) for each in waiting(api))
        assert all(59_000 < b - a < 61_000 for a, b in pairwise(due))

    @pytest.mark.parametrize("dies_after", [1, 2, 3])
    @pytest.mark.parametrize("purged", range(7))
    def test_after_a_purge(
        self,
        api: Api,
        app: Flask,
        client: redis.Redis,
        monkeypatch: pytest.MonkeyPatch,
        dies_after: int,
        purged: int,
    ) -> None:
        """The chunks, whose sizes differ, begin elsewhere then."""
        monkeypatch.setattr(replaying, "CHUNK_BYTES", 10)
        monkeypatch.setattr(idempotency, "IN_WORK", 0)
        sizes = (1, 9, 2, 2, 9, 1, 8)
        old = [each["entry"] for each in ended(api, app, *("x" * size for size in sizes))]
        later(client)
        self.die(api, app, monkeypatch, dies_after)
        stored = len(waiting(api))
        assert 0 < stored < 7
        parts_of(app).service._queues.forget_entries(ENV, "mail", State.FAILED, [old[purged]])
        body_of(api("POST", MANY, json={"rate": RATE}, headers=self.KEY), 201)
        found = [each["replayOf"] for each in waiting(api)]
        assert len(found) == len(set(found)) >= stored
        assert told(api) == 1


RATE = {"limit": 1, "period": 60_000}


def told(api: Api) -> int:
    """Count the replays in the audit."""
    rows = body_of(api("GET", "/audit"))["entries"]
    return [row["action"] for row in rows].count("queue.replay")


def later(client: redis.Redis) -> None:
    """Let a millisecond pass: what ended within the request's own isn't part of it."""
    start: Any = client.time()
    while client.time()[1] // 1_000 == start[1] // 1_000:  # type: ignore[index, unused-ignore]
        pass


def test_a_jobs_old_one_is_stored_with_it(app: Flask, api: Api, client: redis.Redis) -> None:
    (old,) = ended(api, app, 1)
    new = body_of(one(api, old["entry"]), 201)
    stored: Any = client.hget(keys.payloads(ENV, "mail"), new["id"])
    assert json.loads(stored.partition(b"\n")[0])["replayOf"] == old["id"]


def test_nothing_to_do(app: Flask, api: Api) -> None:
    api.push(delay="60000")
    actor = Actor(ENV, "test")
    order = ReplayOrder(HistoryFilter(state=State.FAILED))
    assert parts_of(app).replaying.replay_many(actor, "mail", order) == Replayed(0)
