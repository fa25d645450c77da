"""The options of a push: what they are in headers and in JSON, and how defaults come in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import pytest

from lambdaqueue.sdk import options
from lambdaqueue.sdk.options import OPTIONS, as_headers, as_json, merged
from lambdaqueue.sdk.queue_settings import settings_as_json

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = {"type": "list", "delays": [1, "5s", timedelta(minutes=1)], "max": "1h", "retries": 3}
POLICY_JSON = {"type": "list", "delays": [1000, 5000, 60000], "max": 3_600_000, "retries": 3}
FOLLOW_UP = {"queue": "ends", "target": "https://x.com/ö", "format": "slack"}
FOLLOW_UP_JSON = '{"queue":"ends","target":"https://x.com/ö","format":"slack"}'


@pytest.mark.parametrize(
    ("name", "value", "field", "told", "header", "sent"),
    [
        ("key", "clé", "key", "clé", "x-lq-key", "clé"),
        ("if_exists", "keep", "ifExists", "keep", "x-lq-if-exists", "keep"),
        ("delay", "10m", "delay", 600_000, "x-lq-delay", "600000"),
        ("delay", 0, "delay", 0, "x-lq-delay", "0"),
        ("on", WHEN, "on", "2026-03-01T12:00:00.000Z", "x-lq-on", "2026-03-01T12:00:00.000Z"),
        ("headers", {"A": "b"}, "headers", {"A": "b"}, "x-lq-headers", '{"A":"b"}'),
        ("retry", {"delay": 1.5}, "retry", {"delay": 1500}, "x-lq-retry", '{"delay":1500}'),
        ("timeout", 30, "timeout", 30_000, "x-lq-timeout", "30000"),
        ("max_age", "1d", "maxAge", 86_400_000, "x-lq-max-age", "86400000"),
        ("priority", 9, "priority", 9, "x-lq-priority", "9"),
        ("event_type", "a.b", "eventType", "a.b", "x-lq-event-type", "a.b"),
        ("flow_key", "c", "flowKey", "c", "x-lq-flow-key", "c"),
        ("async_ttl", "1h", "async", 3_600_000, "x-lq-async", "3600000"),
        ("heartbeat", 10, "heartbeat", 10_000, "x-lq-heartbeat", "10000"),
        ("on_success", "none", "onSuccess", "none", "x-lq-on-success", "none"),
        ("on_failure", FOLLOW_UP, "onFailure", FOLLOW_UP, "x-lq-on-failure", FOLLOW_UP_JSON),
    ],
)
def test_one_option(name: str, value: Any, field: str, told: Any, header: str, sent: str) -> None:
    assert as_json({name: value}) == {field: told}
    assert as_headers({name: value}) == {header: sent}


def test_a_policy_has_durations() -> None:
    assert as_json({"retry": POLICY}) == {"retry": POLICY_JSON}
    assert POLICY["max"] == "1h"


def test_null_takes_away() -> None:
    assert as_json({"target": None, "jitter": None}) == {"target": None, "jitter": None}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"delay": "soon"}, ValueError, "^delay: 'soon' is no duration"),
        ({"on": datetime(2026, 1, 1)}, ValueError, "^on: a datetime needs a zone"),
        ({"timeout": "x"}, ValueError, "^timeout: "),
        ({"retry": {"delay": -1}}, ValueError, "^retry: "),
        ({"on_failure": "/ends"}, TypeError, '^on_failure: a follow-up is .*, or "none"'),
        ({"on": "tomorrow"}, TypeError, "^on: an instant is a datetime"),
        ({"dealy": 1}, TypeError, "no option 'dealy' here; there are key, if_exists, delay"),
    ],
)
def test_what_can_not_be_meant(given: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        as_json(given)
    with pytest.raises(error, match=words):
        as_headers(given)


@pytest.mark.parametrize("key", ["", " a", "a ", "a\n"])
def test_keys_that_a_header_would_change(key: str) -> None:
    with pytest.raises(ValueError, match=r"^key: can't be empty, nor begin or end with a space"):
        as_headers({"key": key})


def test_a_push_takes_its_own_options_alone() -> None:
    with pytest.raises(TypeError, match=r"no option 'tz' here; .*traceparent, content_type, id"):
        as_headers({"tz": "Europe/Warsaw"})


def test_a_trace_goes_with_a_single_push() -> None:
    assert as_headers({"traceparent": "00-a"}) == {"traceparent": "00-a"}
    with pytest.raises(TypeError, match="traceparent goes with a single push only"):
        as_json({"traceparent": "00-a"})


@pytest.mark.parametrize(
    ("defaults", "given", "both"),
    [
        ({"timeout": 5}, {"key": "k"}, {"timeout": 5, "key": "k"}),
        ({"timeout": 5}, {"timeout": 6}, {"timeout": 6}),
        ({"timeout": 5}, {"timeout": None}, {}),
        ({"delay": 5}, {"on": WHEN}, {"on": WHEN}),
        ({"on": WHEN}, {"delay": 0}, {"delay": 0}),
        ({"delay": 5}, {"on": None}, {"delay": 5}),
        # That is for the server to refuse.
        ({}, {"delay": 5, "on": WHEN}, {"delay": 5, "on": WHEN}),
    ],
)
def test_defaults(defaults: dict[str, Any], given: dict[str, Any], both: dict[str, Any]) -> None:
    before = dict(defaults)
    assert merged(defaults, given) == both
    assert defaults == before


def test_every_option_that_is_typed_is_sent() -> None:
    typed = {
        name
        for kind in (options.PushOptions, options.ScheduleOptions, options.ScheduleChanges)
        for name in get_type_hints(kind)
    }
    assert typed == {*OPTIONS, "content_type", "idempotency_key"}


def test_what_a_setting_lacks_is_for_the_server_to_say() -> None:
    lacking = {"rate": {"limit": 3}, "breaker": {"ratio": 0.5}, "flow": {"rate": {"limit": 1}}}
    assert settings_as_json(lacking) == lacking
