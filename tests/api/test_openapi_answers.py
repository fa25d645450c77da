"""What is rendered is what the document says: names, types, what may be missing.

Everything is rendered twice: with all that there can be, and with as little as there can be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from api.openapi.item_answers import ITEM_ANSWERS
from api.openapi.other_answers import OTHER_ANSWERS
from lambdaqueue.attempt_log import Attempt
from lambdaqueue.commands import (
    AuditEntry,
    Endings,
    Endpoint,
    EnvironmentInfo,
    LastError,
    Page,
    Purged,
    QueueInfo,
    QueueStats,
    Readiness,
    SecretInfo,
)
from lambdaqueue.errors import Issue
from lambdaqueue.executing import Execution
from lambdaqueue.execution import Final, ServiceRun, Terms
from lambdaqueue.identity import ALL_SCOPES, Token, TokenInfo
from lambdaqueue.job import Job, Result, State
from lambdaqueue.queue_settings import QueueSettings
from lambdaqueue.rate import Breaker, FlowLimits, Rate
from lambdaqueue.rendering import queue_render, render, schedule_render, service_render
from lambdaqueue.rendering.problems import problem
from lambdaqueue.replaying import Replayed
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.schedule import Recurrence, Schedule
from lambdaqueue.service_job import ServiceJob
from lambdaqueue.signing import Secret
from lambdaqueue.spec import FollowUp, Spec
from tests.api.described import DOCUMENT, complaints

NOW = 1_795_254_417_017
ID = "0mwq83nuu00001"
URL = "https://example.org/"

SPEC = Spec()
FULL_SPEC = Spec(
    payload=b'{"a":1}',
    target=URL,
    retry=RetryPolicy("list", delays=(1, 2), max=5, retries=2, jitter=0.5),
    timeout=1_000,
    max_age=1,
    event_type="paid",
    flow_key="customer",
    schedule_id="0mwqfwdyexac1pct",
    replay_of=ID,
    terms=Terms(60_000, 5_000),
    on_success="none",
    on_failure=FollowUp("alarms", URL, "slack"),
)
ATTEMPT = Attempt(1, NOW, 3)
FAILED_ATTEMPT = Attempt(1, NOW, 3, 410, "http_410: the endpoint answered 410")
RESULT = Result(410, "text/plain", b"\xff", True)

JOB = Job(
    id=ID,
    queue="mail",
    state=State.PENDING,
    version=1,
    due_at=NOW,
    created_at=NOW,
    spec=SPEC,
    first_due_at=NOW,
)
FULL_JOB = replace(
    JOB,
    spec=FULL_SPEC,
    key="k",
    state=State.FAILED,
    attempt=2,
    max_attempts=3,
    pending=True,
    attempts=(FAILED_ATTEMPT,),
    error="http_410: the endpoint answered 410",
    target=URL,
    entry="f1795254417017-0",
    ended_at=NOW,
    result=RESULT,
    occurrence=f"0mwqfwdyexac1pct_{NOW}",
    awaiting_since=NOW,
    heard_at=NOW,
    progress=50.5,
    final=Final("fail", "a line", {"up": 1}, {"code": 7}, "mine"),
    retry_of=ID,
)
NO_JOBS: Page[Job] = Page(())
ENDED = replace(JOB, state=State.COMPLETED, entry="c1795254417017-0", ended_at=NOW)
SAID = replace(ENDED, final=Final("success"), result=Result(), attempts=(ATTEMPT,))

SETTINGS = QueueSettings(
    target=URL,
    retry=RetryPolicy(),
    timeout=1_000,
    concurrency=1,
    rate=Rate(1, 1, 1),
    flow=FlowLimits(1, Rate(1, 1), True),
    breaker=Breaker(0.5, 1_000),
    on_success=FollowUp("a", URL),
    on_failure=FollowUp("a", URL),
)
QUEUE = QueueInfo("mail", False, 0, 0, 0, 0, 0, QueueSettings())
FULL_QUEUE = replace(
    QUEUE, settings=SETTINGS, last_error=LastError("timeout: 30 s", NOW), troubled=1, opened=1
)
STATS = QueueStats(Endings(1, 1, 1, {"http_500": 1}), Endings(0, 0, 0, {}))

SCHEDULE = Schedule(
    "0mwqfwdyexac1pct", "1", "mail", SPEC, Recurrence("@daily"), created=NOW, anchor=NOW
)
FULL_SCHEDULE = replace(
    SCHEDULE,
    spec=FULL_SPEC,
    key="k",
    priority=1,
    next_run=NOW,
    last_run=NOW,
    recurrence=Recurrence("@daily", "UTC", NOW, NOW, 1, 1, "skip", "skip"),
)
SERVICE_JOB = ServiceJob("shop", "report", URL, "rate(1 day)", 600)
RUN = replace(SPEC, service=ServiceRun("shop", "report", "rate(1 day)"), terms=Terms(60_500))
EXECUTION = Execution(replace(JOB, spec=RUN, occurrence=f"shop/report_{NOW}"))
FULL_EXECUTION = Execution(replace(FULL_JOB, spec=replace(FULL_SPEC, service=RUN.service)), ID)

SECRET = Secret.generate()
TOKEN = TokenInfo("abcd-_89", "ci", ALL_SCOPES, NOW)
FULL_TOKEN = replace(TOKEN, expires=NOW, last_used=NOW)


WITHIN = {"Endings", "ExecutionResult", "ExecutionRow", "Issue"}
"""Parts of answers that are rendered whole."""

BY_THE_RUNNING_APP = {
    "AuditPage",
    "EntryPage",
    "Health",
    "Heard",
    "MessageId",
    "QueuePage",
    "RunPage",
    "SchedulePage",
    "Timer",
    "TokenPage",
}
"""What test_openapi.py and test_openapi_conformance.py hold against the running application."""


class Rendered(NamedTuple):
    """A component, and all and the least that may be rendered of it."""

    name: str
    full: bytes
    least: bytes


def made() -> list[Rendered]:
    """Render everything that has a component of its own."""
    return [*of_items(), *of_queues(), *of_services(), *of_the_rest()]


def of_items() -> list[Rendered]:
    return [
        Rendered("Item", render.item(FULL_JOB), render.item(JOB)),
        Rendered("Entry", render.entry(FULL_JOB), render.entry(ENDED)),
        Rendered("Items", render.items([FULL_JOB]), render.items([])),
        Rendered(
            "ItemPage",
            render.page("items", Page((FULL_JOB,), "c"), render.item),
            render.page("items", NO_JOBS, render.item),
        ),
        Rendered("Attempt", attempt_of(FAILED_ATTEMPT), attempt_of(ATTEMPT)),
        Rendered("Result", part("result", FULL_JOB), part("result", SAID)),
        Rendered("CallbackResult", part("callback", FULL_JOB), part("callback", SAID)),
        Rendered("Replayed", render.replays(Replayed(1, "c", NOW)), render.replays(Replayed(0))),
        Rendered(
            "Schedule", schedule_render.schedule(FULL_SCHEDULE), schedule_render.schedule(SCHEDULE)
        ),
        Rendered("Preview", schedule_render.preview([NOW]), schedule_render.preview([])),
    ]


def of_queues() -> list[Rendered]:
    new = Token.generate()
    return [
        Rendered("Queue", queue_render.queue(FULL_QUEUE), queue_render.queue(QUEUE)),
        Rendered(
            "QueueWithStats",
            queue_render.queue(FULL_QUEUE, STATS, [Endpoint(URL, NOW, 1, 1)]),
            queue_render.queue(QUEUE, STATS, []),
        ),
        Rendered("Endpoint", endpoint_of(NOW), endpoint_of(None)),
        Rendered(
            "Purged", queue_render.purged(Purged(1, True)), queue_render.purged(Purged(0, False))
        ),
        Rendered("QueueSecret", render.queue_secret(SECRET), render.queue_secret(SECRET)),
        Rendered(
            "Secret",
            render.secret(SecretInfo(SECRET, NOW, SECRET, NOW)),
            render.secret(SecretInfo(SECRET, NOW)),
        ),
        Rendered("Token", render.token(FULL_TOKEN), render.token(TOKEN)),
        Rendered("IssuedToken", render.new_token(new, FULL_TOKEN), render.new_token(new, TOKEN)),
        Rendered(
            "Environment",
            render.environment(EnvironmentInfo("1", "default", NOW, RetryPolicy())),
            render.environment(EnvironmentInfo("1", "default", NOW)),
        ),
    ]


def of_the_rest() -> list[Rendered]:
    audited = render.audit_entry(AuditEntry("1-0", NOW, "ci", "queue.pause", "mail", "127.0.0.1"))
    return [
        Rendered("AuditEntry", audited, audited),
        Rendered(
            "Readiness",
            render.readiness(Readiness({"redis": "away"}, {"clock": "2 s"})),
            render.readiness(Readiness({}, {})),
        ),
        Rendered(
            "Problem",
            problem(422, issues=[Issue(("items", 1), "required", "is required")]),
            problem(404),
        ),
    ]


def of_services() -> list[Rendered]:
    full_job = replace(SERVICE_JOB, payload="text", retry=RetryPolicy())
    full, least = (Page((job,), more) for job, more in ((FULL_JOB, ID), (EXECUTION.job, None)))
    return [
        Rendered(
            "ServiceJob", service_render.job("1", full_job), service_render.job("1", SERVICE_JOB)
        ),
        Rendered("ServiceJobs", service_render.jobs("1", [full_job]), service_render.jobs("1", [])),
        Rendered(
            "FoundJobs",
            service_render.found_jobs("1", [full_job]),
            service_render.found_jobs("1", []),
        ),
        Rendered("ExecutionName", service_render.name(ID), service_render.name(ID)),
        Rendered(
            "ExecutionPage",
            service_render.executions(full, NOW),
            service_render.executions(least, 0),
        ),
        Rendered(
            "Execution",
            service_render.execution(FULL_EXECUTION),
            service_render.execution(EXECUTION),
        ),
    ]


def attempt_of(attempt: Attempt) -> bytes:
    return part("lastAttempt", replace(JOB, attempts=(attempt,)))


def endpoint_of(rests_until: int | None) -> bytes:
    shown = queue_render.queue(QUEUE, STATS, [Endpoint(URL, rests_until, 1, 1)])
    return json.dumps(json.loads(shown)["endpoints"][0]).encode()


def part(name: str, job: Job) -> bytes:
    """Return the JSON of one field of a rendered item."""
    return json.dumps(json.loads(render.item(job))[name]).encode()


@pytest.mark.parametrize("rendered", made(), ids=lambda each: each.name)
def test_answers_are_as_described(rendered: Rendered) -> None:
    schema: Mapping[str, Any] = DOCUMENT["components"]["schemas"][rendered.name]
    full, least = json.loads(rendered.full), json.loads(rendered.least)
    assert complaints(schema, full) == []
    assert complaints(schema, least) == []
    if isinstance(full, dict):
        assert full.keys() == schema["properties"].keys()
        assert least.keys() == set(schema["required"])


def test_every_answer_is_rendered_here() -> None:
    described = ITEM_ANSWERS.keys() | OTHER_ANSWERS.keys()
    assert described - {each.name for each in made()} == WITHIN | BY_THE_RUNNING_APP
