"""schedule, its preview and schedules against a stand-in for the server, over a real socket."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue.cli import main
from tests.unit.api_stub import Serve

SCHEDULE = {
    "id": "0mwqfwdyexac1pct",
    "paused": False,
    "schedule": "0 9 * * 1-5",
    "timezone": "Europe/Warsaw",
    "nextRun": "2026-03-02T08:00:00.000Z",
    "queue": "mail",
}


def test_every_option_has_its_header(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    stub = serve((201, SCHEDULE))
    words = {
        "--tz": ("Europe/Warsaw", "x-lq-tz", "Europe/Warsaw"),
        "--target": ("http://127.0.0.1:9000/", "x-lq-target", "http://127.0.0.1:9000/"),
        "--key": ("k", "x-lq-key", "k"),
        "--method": ("PUT", "x-lq-method", "PUT"),
        "--retry": ('{"retries": 1}', "x-lq-retry", '{"retries": 1}'),
        "--starts-at": ("2030-01-01T00:00:00Z", "x-lq-starts-at", "2030-01-01T00:00:00Z"),
        "--ends-at": ("2031-01-01T00:00:00Z", "x-lq-ends-at", "2031-01-01T00:00:00Z"),
        "--max-runs": ("5", "x-lq-max-runs", "5"),
        "--jitter": ("30s", "x-lq-jitter", "30000"),
        "--misfire": ("all", "x-lq-misfire", "all"),
        "--overlap": ("skip", "x-lq-overlap", "skip"),
    }
    given = [word for option, (value, _, _) in words.items() for word in (option, value)]
    assert main(["schedule", "a/b", "0 9 * * 1-5", *given, "--data", '{"a": 1}']) == 0
    (asked,) = stub.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/api/v1/schedules", b'{"a": 1}')
    ours = {name: value for name, value in asked.headers.items() if name.startswith("x-lq-")}
    sent = {header: value for _, header, value in words.values()}
    assert ours == {"x-lq-queue": "a/b", "x-lq-schedule": "0 9 * * 1-5", **sent}
    assert asked.headers["content-type"] == "application/json"
    shown = "0mwqfwdyexac1pct: made; next run 2026-03-02T08:00:00.000Z\n"
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("status", "more", "shown"),
    [
        (200, {"key": "k"}, "0mwqfwdyexac1pct key=k: there already, by its key; now as wanted;"),
        (200, {"paused": True, "nextRun": None}, "now as wanted; paused"),
        (201, {"key": "\x1b[2J"}, "key=\\x1b[2J: made"),
    ],
)
def test_what_became_of_it(
    serve: Serve, status: int, more: dict[str, Any], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = serve((status, {**SCHEDULE, **more}))
    assert main(["schedule", "mail", "@daily", "--key", "k"]) == 0
    assert stub.asked[0].body == b"{}"
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mail", "@daily", "--data", "{a: 1}"], "--data is no JSON"),
        (["mail", "@daily", "--count", "3"], "--count belongs to `schedule preview`"),
        (["preview", "@daily", "--key", "k", "--count", "3"], "--count belongs to"),
    ],
)
def test_what_can_not_be_meant(
    serve: Serve, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = serve((201, SCHEDULE))
    assert main(["schedule", *words]) == 2
    assert message in capsys.readouterr().err
    assert stub.asked == []


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ([], {"schedule": "@daily"}),
        (
            ["--tz", "Asia/Tokyo", "--count", "2"],
            {"schedule": "@daily", "tz": "Asia/Tokyo", "count": "2"},
        ),
    ],
)
def test_preview(
    serve: Serve, words: list[str], query: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    stub = serve((200, {"next": ["2026-03-02T08:00:00.000Z", "2026-03-03T08:00:00.000Z"]}))
    assert main(["schedule", "preview", "@daily", *words]) == 0
    (asked,) = stub.asked
    assert (asked.method, asked.path, asked.query) == ("GET", "/api/v1/schedules/preview", query)
    assert capsys.readouterr().out == "2026-03-02T08:00:00.000Z\n2026-03-03T08:00:00.000Z\n"


def test_preview_of_what_is_over(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve((200, {"next": []}))
    assert main(["schedule", "preview", "at(2001-01-01T00:00:00)"]) == 0
    assert capsys.readouterr().out == "no run is left\n"


def test_a_queue_may_be_named_preview(serve: Serve) -> None:
    stub = serve((201, SCHEDULE))
    assert main(["schedule", "preview", "@daily", "--key", "k"]) == 0
    assert stub.asked[0].headers["x-lq-queue"] == "preview"


def test_refused(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve((422, {"issues": [{"path": ["x-lq-schedule"], "message": "minute: must be 0 to 59"}]}))
    assert main(["schedule", "mail", "61 * * * *"]) == 1
    assert "refused:\n  x-lq-schedule: minute: must be 0 to 59" in capsys.readouterr().err


def test_schedules(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    keyed = {**SCHEDULE, "key": "report", "paused": True}
    del keyed["nextRun"]
    stub = serve(
        (200, {"schedules": [SCHEDULE], "nextCursor": "c1"}), (200, {"schedules": [keyed]})
    )
    assert main(["schedules"]) == 0
    assert [asked.query.get("cursor") for asked in stub.asked] == [None, "c1"]
    assert capsys.readouterr().out.splitlines() == [
        "KEY OR ID         SCHEDULE     TIMEZONE       NEXT RUN                  QUEUE  PAUSED",
        "0mwqfwdyexac1pct  0 9 * * 1-5  Europe/Warsaw  2026-03-02T08:00:00.000Z  mail   no",
        "report            0 9 * * 1-5  Europe/Warsaw  -                         mail   yes",
    ]


def test_no_schedules(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve((200, {"schedules": []}))
    assert main(["schedules"]) == 0
    assert "no schedules yet" in capsys.readouterr().out
