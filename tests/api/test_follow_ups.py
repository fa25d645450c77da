"""Follow-ups of single items: wherever a delivery is described, and for as long as it lives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from lambdaqueue.attempts import Kind
from tests.api.conftest import TARGET, Api, codes, parts_of, paths
from tests.api.service_calls import Crew, body_of, call_back
from tests.store.world import at_once

FOLLOW = {"queue": "after", "target": TARGET}
REPORT = {**FOLLOW, "format": "json"}
LINE = {"queue": "a/b", "target": f"{TARGET}?a=%20b", "format": "slack"}
SCHEDULE = {"queue": "mail", "schedule": "@daily", "target": TARGET, "payload": 1}
AS_HEADERS = {"x-lq-queue": "mail", "x-lq-schedule": "@daily", "x-lq-target": TARGET}

WANTED = [
    ({"onSuccess": FOLLOW}, {"onSuccess": REPORT}),
    ({"onFailure": LINE}, {"onFailure": LINE}),
    ({"onSuccess": LINE, "onFailure": FOLLOW}, {"onSuccess": LINE, "onFailure": REPORT}),
    ({"onSuccess": "none"}, {"onSuccess": "none"}),
    ({"onSuccess": "none", "onFailure": LINE}, {"onSuccess": "none", "onFailure": LINE}),
    ({}, {}),
]
REFUSED = [
    ("after", [], "not_object"),
    ("None", [], "not_object"),
    ("", [], "not_object"),
    (5, [], "not_object"),
    (False, [], "not_object"),
    ([FOLLOW], [], "not_object"),
    ({}, ["queue"], "required"),
    ({"queue": "after"}, ["target"], "required"),
    ({"target": TARGET}, ["queue"], "required"),
    ({**FOLLOW, "queue": "a:b"}, ["queue"], "bad_queue_name"),
    ({**FOLLOW, "queue": 5}, ["queue"], "not_text"),
    ({**FOLLOW, "target": "http://10.0.0.1/"}, ["target"], None),
    ({**FOLLOW, "target": None}, ["target"], "null"),
    ({**FOLLOW, "format": "xml"}, ["format"], "not_a_choice"),
    ({**FOLLOW, "onSuccess": FOLLOW}, ["onSuccess"], "unknown_field"),
]


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """Return the follow-ups that an answer shows."""
    return {name: body[name] for name in ("onSuccess", "onFailure") if name in body}


def headers(fields: dict[str, Any]) -> dict[str, str]:
    """Return the headers that stand for fields of JSON."""
    names = {"onSuccess": "x-lq-on-success", "onFailure": "x-lq-on-failure"}
    return {
        names[name]: value if value == "none" else json.dumps(value)
        for name, value in fields.items()
    }


def push(api: Api, fields: dict[str, Any]) -> Any:
    """Push an item with such headers."""
    return api(
        "POST",
        "/queues/mail/items",
        data=b"1",
        headers={"Content-Type": "text/plain", "x-lq-target": TARGET, **headers(fields)},
    )


def create(api: Api, fields: dict[str, Any]) -> Any:
    """Create a schedule with such headers."""
    given = {"Content-Type": "text/plain", **AS_HEADERS, **headers(fields)}
    return api("POST", "/schedules", data=b"1", headers=given)


def followers(api: Api) -> list[tuple[str, str]]:
    """Return the queue and the type of what waits because something else has ended."""
    found = []
    for queue in ("after", "a/b", "of-the-queue"):
        for item in body_of(api("GET", f"/queues/{queue}/items"))["items"]:
            found.append((queue, item["payload"].get("type", "text")))
    return found


@pytest.fixture
def crew(app: Flask) -> Crew:
    return Crew(parts_of(app).client)


def end(crew: Crew, kind: Kind) -> None:
    """End the only item that is ready."""
    (crew.claim,) = at_once(crew.store.claim(100)).claims
    assert crew.answer(kind, error="http_410: gone" if kind is Kind.FAILED else "")


@pytest.mark.parametrize(("fields", "told"), WANTED, ids=str)
class TestShown:
    """Wherever a delivery is described."""

    def test_push(self, api: Api, fields: dict[str, Any], told: dict[str, Any]) -> None:
        made = body_of(push(api, fields), 201)
        assert shown(made) == shown(body_of(api("GET", f"/items/{made['id']}"))) == told

    def test_batch(self, api: Api, fields: dict[str, Any], told: dict[str, Any]) -> None:
        plain = {"payload": 1, "target": TARGET}
        items = body_of(api.batch(plain, {**plain, **fields}, plain), 201)["items"]
        assert [shown(item) for item in items] == [{}, told, {}]

    def test_patch(self, api: Api, fields: dict[str, Any], told: dict[str, Any]) -> None:
        """What it doesn't name stays."""
        before = {"onSuccess": REPORT, "onFailure": "none"}
        for own in ({}, before):
            path = f"/items/{body_of(push(api, own), 201)['id']}"
            assert shown(body_of(api("PATCH", path, json=fields))) == own | told
            assert shown(body_of(api("PATCH", path, json={"payload": 2}))) == own | told

    def test_the_next_push_with_its_key(
        self, api: Api, fields: dict[str, Any], told: dict[str, Any]
    ) -> None:
        item = {"payload": 1, "target": TARGET, "key": "k"}
        body_of(api.batch({**item, "onSuccess": LINE, "onFailure": "none"}), 201)
        (replaced,) = body_of(api.batch({**item, **fields}), 201)["items"]
        assert (replaced["version"], shown(replaced)) == (2, told)

    def test_schedules(self, api: Api, fields: dict[str, Any], told: dict[str, Any]) -> None:
        by_json = api("PUT", "/schedules/byKey/k", json={**SCHEDULE, **fields})
        for made in (body_of(create(api, fields), 201), body_of(by_json, 201)):
            path = f"/schedules/{made['id']}"
            assert shown(made) == shown(body_of(api("GET", path))) == told
            assert shown(body_of(api("POST", f"{path}/run"), 201)) == told
            assert shown(body_of(api("PATCH", path, json={"jitter": 1}))) == told
            for name in told:
                assert name not in body_of(api("PATCH", path, json={name: None}))
            assert shown(body_of(api("PATCH", path, json=fields))) == told
            assert shown(body_of(api("POST", f"{path}/run"), 201)) == told

    def test_history_and_replay(
        self, api: Api, crew: Crew, fields: dict[str, Any], told: dict[str, Any]
    ) -> None:
        item = body_of(push(api, fields), 201)
        end(crew, Kind.FAILED)
        old = body_of(api("GET", f"/items/{item['id']}"))
        assert shown(old) == told
        path = f"/queues/mail/history/{old['entry']}/replay"
        assert shown(body_of(api("POST", path), 201)) == told


@pytest.mark.parametrize("field", ["onSuccess", "onFailure"])
@pytest.mark.parametrize(("value", "path", "code"), REFUSED, ids=str)
class TestRefused:
    """As the queue's setting is, whose rules are the same."""

    def test_in_headers(
        self, api: Api, field: str, value: Any, path: list[str], code: str | None
    ) -> None:
        (header,) = headers({field: value})
        for refused in (push(api, {field: value}), create(api, {field: value})):
            assert refused.status_code == 422
            assert [header, *path] in paths(refused)
            assert code is None or code in codes(refused)
        assert body_of(api("GET", "/queues")) == {"queues": []}

    def test_in_json(
        self, api: Api, field: str, value: Any, path: list[str], code: str | None
    ) -> None:
        item = body_of(push(api, {}), 201)
        body_of(api("PUT", "/schedules/byKey/k", json=SCHEDULE), 201)
        wrong = {field: value}
        for refused, prefix in (
            (api.batch({"payload": 1, "target": TARGET, **wrong}), ["items", 0]),
            (api("PATCH", f"/items/{item['id']}", json=wrong), []),
            (api("PUT", "/schedules/byKey/other", json={**SCHEDULE, **wrong}), []),
            (api("PATCH", "/schedules/byKey/k", json=wrong), []),
        ):
            assert refused.status_code == 422
            assert [*prefix, field, *path] in paths(refused)
            assert code is None or code in codes(refused)
        assert len(body_of(api("GET", "/queues/mail/items"))["items"]) == 1


@pytest.mark.parametrize("field", ["onSuccess", "onFailure"])
def test_null_means_something_in_a_patch_of_a_schedule_only(api: Api, field: str) -> None:
    item = body_of(push(api, {}), 201)
    body_of(api("PUT", "/schedules/byKey/k", json=SCHEDULE), 201)
    (header,) = headers({field: None})
    for refused, path in (
        (push(api, {field: None}), [header]),
        (api.batch({"payload": 1, "target": TARGET, field: None}), ["items", 0, field]),
        (api("PATCH", f"/items/{item['id']}", json={field: None}), [field]),
        (api("PUT", "/schedules/byKey/k", json={**SCHEDULE, field: None}), [field]),
    ):
        assert (refused.status_code, paths(refused), codes(refused)) == (422, [path], ["null"])
        assert body_of(refused, 422)["issues"][0]["message"] == 'must be an object or "none"'
    assert api("PATCH", "/schedules/byKey/k", json={field: None}).status_code == 200


@pytest.mark.parametrize("text", ["{", "nothing", "None", "{'queue': 'a'}", ""])
def test_a_header_that_is_no_json(api: Api, text: str) -> None:
    answer = api.push(on_failure=text)
    assert (answer.status_code, paths(answer)) == (422, [["x-lq-on-failure"]])
    assert codes(answer) == ["bad_json"]


def test_none_in_quotes(api: Api) -> None:
    assert shown(body_of(api.push(on_success='"none"'), 201)) == {"onSuccess": "none"}


def test_none_is_nothing_for_a_queue(api: Api) -> None:
    """It has no other whose follow-up it could do without; null takes its own away."""
    answer = api("PATCH", "/queues/mail", json={"onSuccess": "none"})
    assert (answer.status_code, codes(answer)) == (422, ["not_object"])


def test_idempotency(api: Api) -> None:
    """They are a part of the request."""
    for wanted, status in ((FOLLOW, 201), (FOLLOW, 201), (LINE, 422)):
        answer = api(
            "POST",
            "/queues/mail/items",
            data=b"1",
            headers={"Content-Type": "text/plain", "x-lq-target": TARGET, "Idempotency-Key": "k"}
            | headers({"onSuccess": wanted}),
        )
        assert answer.status_code == status


OF_THE_QUEUE = {"queue": "of-the-queue", "target": TARGET}


class TestPushed:
    @pytest.mark.parametrize(
        ("fields", "kind", "expected"),
        [
            ({}, Kind.COMPLETED, [("of-the-queue", "job.completed")]),
            ({}, Kind.FAILED, [("of-the-queue", "job.failed")]),
            ({"onSuccess": FOLLOW}, Kind.COMPLETED, [("after", "job.completed")]),
            ({"onSuccess": FOLLOW}, Kind.FAILED, [("of-the-queue", "job.failed")]),
            ({"onFailure": LINE}, Kind.FAILED, [("a/b", "text")]),
            ({"onSuccess": "none"}, Kind.COMPLETED, []),
            ({"onSuccess": "none"}, Kind.FAILED, [("of-the-queue", "job.failed")]),
            ({"onSuccess": "none", "onFailure": "none"}, Kind.FAILED, []),
        ],
    )
    def test_it_stands_in_place_of_its_queues(
        self,
        api: Api,
        crew: Crew,
        fields: dict[str, Any],
        kind: Kind,
        expected: list[tuple[str, str]],
    ) -> None:
        api("PUT", "/queues/mail", json={"onSuccess": OF_THE_QUEUE, "onFailure": OF_THE_QUEUE})
        body_of(push(api, fields), 201)
        end(crew, kind)
        assert followers(api) == expected

    def test_when_a_callback_ends_it(self, api: Api, crew: Crew) -> None:
        wanted = {"async": "60000", "on_success": json.dumps(FOLLOW)}
        item = body_of(api.push(options=wanted), 201)
        token = crew.start(item["id"])
        assert followers(api) == []
        assert call_back(api, token, status="success").status_code == 200
        assert followers(api) == [("after", "job.completed")]

    def test_of_a_replay(self, api: Api, crew: Crew) -> None:
        item = body_of(push(api, {"onSuccess": FOLLOW}), 201)
        end(crew, Kind.FAILED)
        assert followers(api) == []
        entry = body_of(api("GET", f"/items/{item['id']}"))["entry"]
        again = body_of(api("POST", f"/queues/mail/history/{entry}/replay"), 201)
        end(crew, Kind.COMPLETED)
        assert followers(api) == [("after", "job.completed")]
        (told,) = body_of(api("GET", "/queues/after/items"))["items"]
        assert told["payload"]["job"]["id"] == again["id"]

    def test_it_has_none_itself(self, api: Api, crew: Crew) -> None:
        """Not even when it's changed to: it would never end."""
        body_of(push(api, {"onSuccess": FOLLOW}), 201)
        end(crew, Kind.COMPLETED)
        (told,) = body_of(api("GET", "/queues/after/items"))["items"]
        assert shown(told) == {}
        body_of(api("PATCH", f"/items/{told['id']}", json={"onSuccess": FOLLOW}))
        end(crew, Kind.COMPLETED)
        assert followers(api) == []
