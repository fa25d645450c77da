"""The spec's stored form, and what it's read back as."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdaqueue.execution import ServiceRun, Terms
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import FollowUp, Message, Spec

AFTER = FollowUp("after", "https://a.example/?b=%20c")
ALARM = FollowUp("a/b", "https://a.example/", "slack")
RUN = ServiceRun("reports", "daily", "rate(1 hour)")

SPECS = [
    Spec(),
    Spec(b"\n\x00\xff\n"),
    Spec(b"{}", "text/plain; charset=utf-8", "https://a.example/é", "PUT", {"X-A": "1"}),
    Spec(retry=RetryPolicy("constant", delay=1_000, retries=1, jitter=0)),
    Spec(timeout=1_000, max_age=1, event_type="line\nfeed", traceparent="00-a-b-01"),
    Spec(schedule_id="s", schedule_key="k", message=Message("Acme", 3)),
    Spec(b"{}", terms=Terms(60_000)),
    Spec(b"{}", terms=Terms(60_000, 5_000)),
    Spec(b"p", terms=Terms(600_000), service=RUN),
    Spec(b"", terms=Terms(600_000), service=ServiceRun("a", "b", "cron(0 12 * * ? *)", test=True)),
    Spec(on_success=AFTER),
    Spec(b"p", "text/plain", "https://b.example/", on_success="none", on_failure=ALARM),
    Spec(on_failure="none"),
]


@pytest.mark.parametrize("spec", SPECS)
def test_it_comes_back_as_it_was(spec: Spec) -> None:
    assert Spec.unpack(spec.pack()) == spec


@pytest.mark.parametrize("spec", SPECS)
def test_the_options_are_one_line(spec: Spec) -> None:
    """So a script can leave the payload out."""
    head, _, payload = spec.pack().partition(b"\n")
    assert payload == spec.payload
    without = Spec.unpack(head + b"\n")
    assert (without.terms, without.service) == (spec.terms, spec.service)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (Spec(b"x"), None),
        (Spec(terms=Terms(60_000)), {"terms": [60_000, 30_000]}),
        (Spec(service=RUN), {"service": ["reports", "daily", "rate(1 hour)"]}),
        (
            Spec(service=ServiceRun("a", "b", "c", test=True)),
            {"service": ["a", "b", "c", 1]},
        ),
        (
            Spec(on_success=AFTER, on_failure="none"),
            {"follow": {"COMPLETED": "after json https://a.example/?b=%20c", "FAILED": ""}},
        ),
        (Spec(on_failure=ALARM), {"follow": {"FAILED": "a/b slack https://a.example/"}}),
    ],
)
def test_what_is_not_given_takes_no_room(spec: Spec, options: dict[str, Any] | None) -> None:
    head = spec.pack().partition(b"\n")[0]
    assert (json.loads(head) if head else None) == options


@pytest.mark.parametrize("spec", SPECS)
def test_follow_ups_are_seen_at_once(spec: Spec) -> None:
    """`follow_ups.lua` looks at the first bytes, and decodes nothing where there are none."""
    has_some = spec.on_success is not None or spec.on_failure is not None
    assert spec.pack().startswith(b'{"follow":') is has_some


@pytest.mark.parametrize("stored", [5, "a", ["a"], {"FAILED": 5}, {"FAILED": {}}, {"FAILED": "a"}])
def test_follow_ups_of_newer_code(stored: object) -> None:
    """Whoever can't read them must be able to tell."""
    with pytest.raises((TypeError, ValueError)):
        Spec.unpack(json.dumps({"follow": stored}).encode() + b"\n")
