"""How fields are read: what a rule takes, and where it says that something is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.reading import fields, service_rules
from lambdaqueue.reading.named_rules import Follow, OwnFollow, Validation
from lambdaqueue.reading.option_headers import PUSH_HEADERS
from lambdaqueue.reading.rules import Instant, Rule, Target
from lambdaqueue.spec import FollowUp
from lambdaqueue.targets import TargetRules

FOLLOW_UP = {"queue": "a", "target": "https://example.org/"}
NOON = Instant(lambda: 0, farthest=10)

TAKEN: list[tuple[Rule, Any, Any]] = [
    (fields.LIMIT, "007", 7),
    (fields.PURGEABLE, "PENDING", "PENDING"),
    (fields.MOMENT, "5", 5),
    (NOON, "1970-01-01T00:00:00.010Z", 10),
    (Follow(lambda given: given), FOLLOW_UP, FollowUp("a", "https://example.org/")),
    (OwnFollow(lambda given: given), "none", "none"),
    (Validation(may_go_without=lambda: True), "none", "none"),
    (service_rules.PROGRESS, 50, 50),
    (service_rules.SUMMARY, "two\nlines", "two\nlines"),
]

REFUSED: list[tuple[Rule, Any, tuple[str | int, ...], str]] = [
    (fields.TIMEOUT, True, (), "not_integer"),
    (fields.LIMIT, "1001", (), "out_of_range"),
    (fields.LIMIT, "-1", (), "not_integer"),
    (fields.PURGEABLE, "RUNNING", (), "not_a_choice"),
    (NOON, "1970-01-01T00:00:00.011Z", (), "out_of_range"),
    # An unknown field keeps its place also where the object around it has the same name.
    (fields.RETRY, {"retry": 1}, ("retry",), "unknown_field"),
    (fields.RETRY, {"delay": -1}, ("delay",), "out_of_range"),
    # What the core says of `headers`, `target`, `queue` and `key` is said of the field itself.
    (fields.HEADERS, {"Host": "x"}, (), "reserved"),
    (Target(TargetRules().check), "http://example.org/", (), "scheme_not_allowed"),
    (fields.QUEUE, "items", (), "bad_queue_name"),
    (fields.SCHEDULE_KEY, "a/run", (), "reserved"),
    (fields.SCHEDULE_KEY, "", (), "bad_length"),
    (Follow(lambda given: given), "none", (), "not_object"),
    (Validation(may_go_without=lambda: False), "none", (), "not_allowed_here"),
    (service_rules.SUMMARY, "a\tb", (), "control_character"),
    (service_rules.REASON, 1, (), "not_text_or_object"),
    (service_rules.AGREED, False, (), "not_true"),
]


@pytest.mark.parametrize(("rule", "given", "taken"), TAKEN)
def test_taken(rule: Rule, given: Any, taken: Any) -> None:
    assert rule(given) == taken


@pytest.mark.parametrize(("rule", "given", "path", "code"), REFUSED)
def test_refused(rule: Rule, given: Any, path: tuple[str | int, ...], code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rule(given)
    assert [(issue.path, issue.code) for issue in refused.value.issues] == [(path, code)]


def test_headers_stand_for_fields() -> None:
    given = [("x-lq-delay", "10"), ("x-lq-retry", '{"retries": 1}'), ("x-lq-on-success", "none")]
    values = PUSH_HEADERS.values(given)
    assert values == {"delay": 10, "retry": {"retries": 1}, "onSuccess": "none"}


def test_what_headers_can_not_say() -> None:
    with pytest.raises(InvalidRequest) as refused:
        PUSH_HEADERS.values([("x-lq-colour", "red"), ("x-lq-headers", "{")])
    told = [(issue.path, issue.code) for issue in refused.value.issues]
    assert told == [(("x-lq-colour",), "unknown_header"), (("x-lq-headers",), "bad_json")]


def test_issues_name_the_headers() -> None:
    wrong = [Issue(("maxAge",), "out_of_range", "…"), Issue(("retry", "delay"), "not_integer", "…")]
    with pytest.raises(InvalidRequest) as refused, PUSH_HEADERS.named():
        raise InvalidRequest(wrong)
    paths = [issue.path for issue in refused.value.issues]
    assert paths == [("x-lq-max-age",), ("x-lq-retry", "delay")]
