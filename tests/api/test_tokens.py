"""POST, GET and DELETE of /tokens."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import TOKEN, Api, codes, paths

FORM = re.compile(r"lqk_[A-Za-z0-9_-]{8}_[A-Za-z0-9_-]{43}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def ahead(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


def test_made_once_and_never_shown_again(api: Api) -> None:
    day = (datetime.now(UTC) + timedelta(days=90)).date()
    expires = f"{day}T01:30:00+01:00"
    body = {"name": "ci \u2713", "scopes": ["read", "push"], "expires": expires}
    response = api("POST", "/tokens", json=body)
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    made = response.json or {}
    token = made.pop("token")
    assert FORM.fullmatch(token)
    assert made["id"] == token[4:12]
    assert INSTANT.fullmatch(made.pop("created"))
    assert made == {
        "id": made["id"],
        "name": "ci \u2713",
        "scopes": ["push", "read"],
        "expires": f"{day}T00:30:00.000Z",
    }
    listed = api("GET", "/tokens")
    assert token[13:] not in listed.text
    assert [row["name"] for row in (listed.json or {})["tokens"]] == ["bootstrap", "ci \u2713"]
    assert Api(api.app, token)("GET", "/queues").status_code == 200
    assert Api(api.app, token)("GET", "/tokens").status_code == 403


def test_without_an_end(api: Api) -> None:
    for name, end in (("a", {}), ("b", {"expires": None})):
        made = api("POST", "/tokens", json={"name": name, "scopes": ["manage"], **end})
        assert made.status_code == 201
        assert "expires" not in (made.json or {})


GOOD = {"name": "ci", "scopes": ["push"]}


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"scopes": ["push"]}, ["name"], "required"),
        ({**GOOD, "name": ""}, ["name"], "bad_length"),
        ({**GOOD, "name": "n" * 65}, ["name"], "bad_length"),
        ({**GOOD, "name": 5}, ["name"], "not_text"),
        ({**GOOD, "name": None}, ["name"], "null"),
        ({**GOOD, "name": "a\nb"}, ["name"], "control_character"),
        ({**GOOD, "name": "a\u202eb"}, ["name"], "not_printable"),
        ({**GOOD, "name": "a\u2028b"}, ["name"], "not_printable"),
        ({**GOOD, "name": "a\u200bb"}, ["name"], "not_printable"),
        ({"name": "ci"}, ["scopes"], "required"),
        ({**GOOD, "scopes": []}, ["scopes"], "bad_length"),
        ({**GOOD, "scopes": "push"}, ["scopes"], "not_list"),
        ({**GOOD, "scopes": {"push": True}}, ["scopes"], "not_list"),
        ({**GOOD, "scopes": ["push", "push"]}, ["scopes", 1], "duplicate"),
        ({**GOOD, "scopes": ["push", "admin"]}, ["scopes", 1], "not_a_choice"),
        ({**GOOD, "scopes": ["Push"]}, ["scopes", 0], "not_a_choice"),
        ({**GOOD, "scopes": [["push"]]}, ["scopes", 0], "not_a_choice"),
        ({**GOOD, "scopes": [None]}, ["scopes", 0], "not_a_choice"),
        ({**GOOD, "expires": "2020-01-01T00:00:00Z"}, ["expires"], "out_of_range"),
        ({**GOOD, "expires": "2090-01-01T00:00:00Z"}, ["expires"], "out_of_range"),
        ({**GOOD, "expires": "2030-01-01T00:00:00"}, ["expires"], "not_instant"),
        ({**GOOD, "expires": "2030-01-01"}, ["expires"], "not_instant"),
        ({**GOOD, "expires": "90d"}, ["expires"], "not_instant"),
        ({**GOOD, "expires": 1893456000000}, ["expires"], "not_instant"),
        ({**GOOD, "environment": "2"}, ["environment"], "unknown_field"),
        ({**GOOD, "token": TOKEN}, ["token"], "unknown_field"),
        ({**GOOD, "id": "abcdefgh"}, ["id"], "unknown_field"),
    ],
    ids=lambda each: str(each)[:60],
)
def test_refused(api: Api, body: object, path: list[str | int], code: str) -> None:
    response = api("POST", "/tokens", json=body)
    assert response.status_code == 422
    assert (paths(response), codes(response)) == ([path], [code])
    assert len((api("GET", "/tokens").json or {})["tokens"]) == 1


def test_ten_years(api: Api) -> None:
    for days, status in ((3_652, 201), (3_655, 422)):
        body = {"name": str(days), "scopes": ["push"], "expires": ahead(days=days)}
        assert api("POST", "/tokens", json=body).status_code == status


def test_no_two_of_a_name(api: Api) -> None:
    made = api("POST", "/tokens", json=GOOD).json or {}
    assert api("POST", "/tokens", json=GOOD).status_code == 409
    assert api("DELETE", f"/tokens/{made['id']}").status_code == 204
    assert api("POST", "/tokens", json=GOOD).status_code == 201


def test_pages(api: Api) -> None:
    for number in range(4):
        api("POST", "/tokens", json={"name": f"t{number}", "scopes": ["push"]})
    names: list[str] = []
    query, pages = "", 0
    while pages < 10:
        page = api("GET", f"/tokens?limit=2{query}").json or {}
        names += [row["name"] for row in page["tokens"]]
        pages += 1
        if "nextCursor" not in page:
            break
        query = f"&cursor={page['nextCursor']}"
    assert pages == 3
    assert sorted(names) == ["bootstrap", "t0", "t1", "t2", "t3"]


@pytest.mark.parametrize(
    "token_id", ["abcdefgX", "abcdefg", "abcdefghi", "..%2f", "%00", "*", "x" * 10_000, TOKEN]
)
def test_revoke_what_is_not_there(api: Api, token_id: str) -> None:
    """B94."""
    assert api("DELETE", f"/tokens/{token_id}").status_code == 404
    assert api("GET", "/queues").status_code == 200


def test_revoked_twice(api: Api) -> None:
    made = api("POST", "/tokens", json=GOOD).json or {}
    answers = [api("DELETE", f"/tokens/{made['id']}") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 404]
    assert answers[0].data == b""
    other = api("DELETE", "/tokens/never-00")
    assert other.data == answers[1].data
