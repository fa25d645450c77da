"""Schemathesis finds no difference between the OpenAPI document and the running application.

It makes requests from the document: at the bounds of every field and by chance, right ones and
wrong ones. They are sent to objects that are there, unless their names are what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, count
from typing import Any

import hypothesis
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.config import (
    AnalysisConfig,
    ConstantsConfig,
    GenerationConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    ignored_auth,
    positive_data_acceptance,
    unsupported_method,
)

from api.openapi import OPERATIONS
from api.openapi.operations import Operation
from lambdaqueue.config import Settings
from tests.api.conftest import TARGET, TOKEN, Api, parts_of
from tests.api.described import DOCUMENT, complaints, resolved
from tests.api.service_calls import Crew, define, run
from tests.api.test_routes import QUEUE, objects_of

AT_BOUNDS = 30
BY_CHANCE = 3
"""Requests for each operation, right ones and wrong ones each."""

LOOKED_INTO = 3
"""Answers of each status whose fields are compared by name: one more is a difference then."""

SOUND: Mapping[str, Any] = {
    "target": TARGET,
    "url": TARGET,
    "invocation_target": TARGET,
    "schedule": "rate(1 day)",
    "timezone": "Europe/Warsaw",
    "tz": "Europe/Warsaw",
    "every": "2h",
    "expires": None,
    "successStatus": "200-299",
    "endsAt": "9999-01-01T00:00:00Z",
    "on": "2020-01-01T00:00:00Z",
    "at": "2020-01-01T00:00:00Z",
    "validation": "required",
    "cursor": ...,
    "more": ...,
    "service_name": ...,
    "job_name": ...,
    "wait": 0,
}
"""Values for fields whose rules are said in words, or depend on what is there; `...`: none."""

WORDS = {
    # 5.0 is a whole number to JSON Schema.
    "not_integer",
    # From 1970 on.
    "not_instant",
    # A batch names no key twice; the payload must fit its type.
    "duplicate",
    "not_text",
    "not_base64",
    # Where a follow-up goes, like every target.
    "malformed_host",
    "reserved_name",
    "scheme_not_allowed",
    "port_not_allowed",
    "single_label",
    "malformed",
    # No NUL in any name, however deep; some texts show all of what they are.
    "bad_name",
    "not_printable",
    # Ranges of statuses ascend.
    "out_of_range",
}
"""Codes of rules that no schema can say: a request may break them and fit the document."""

numbers = count()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The metrics have a token, too: nobody knows from where schemathesis asks."""
    return replace(settings, metrics_token=TOKEN)


@pytest.fixture(scope="module")
def described() -> Any:
    generation = GenerationConfig(with_security_parameters=False, deterministic=True)
    # Texts that stand in our code would make other requests of every change.
    analysis = AnalysisConfig(constants=ConstantsConfig(enabled=False))
    project = ProjectConfig(generation=generation, analysis=analysis)
    config = SchemathesisConfig(projects=ProjectsConfig(default=project), seed=1)
    return schemathesis.openapi.from_dict(DOCUMENT, config=config)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
def test_nothing_differs(app: Flask, api: Api, described: Any, operation: Operation) -> None:
    described.app = app
    talk = Talk(operation, api, names_for(operation, app, api))
    one = described[operation.path][operation.method]
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        for case in chain(at_bounds(one, mode), by_chance(one, mode)):
            talk.send(case)
    assert any(status < 300 for status in talk.statuses), talk.statuses


def at_bounds(one: Any, mode: GenerationMode) -> list[Case[Any]]:
    """Return requests with values at the bounds of their schemas, evenly chosen."""
    found = list(
        one.schema.iter_coverage_cases(
            one, generation_modes=[mode], generation_config=one.schema.config.generation
        )
    )
    return found[:: -(-len(found) // AT_BOUNDS) or 1]


def by_chance(one: Any, mode: GenerationMode) -> list[Case[Any]]:
    """Return some requests that chance has made, the same ones on every run."""
    found: list[Case[Any]] = []

    @hypothesis.settings(
        max_examples=BY_CHANCE,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=one.as_strategy(generation_mode=mode))
    def collect(case: Case[Any]) -> None:
        found.append(case)

    try:
        collect()
    except Unsatisfiable:
        # What takes nothing can't be asked for wrongly.
        assert mode is GenerationMode.NEGATIVE
    return found


def names_for(operation: Operation, app: Flask, api: Api) -> Mapping[str, str]:
    """Make objects; return what names them in the operation's path."""
    token = ""
    if operation.id == "callBack":
        define(api)
        token = Crew(parts_of(app).client).start(run(api))
    names = dict(objects_of(api, ended=operation.id == "retryExecution"))
    if operation.id == "deleteQueue":
        # The other one holds items.
        names["queue"] = "bare"
        assert api("PUT", "/queues/bare", json={}).status_code == 200
    owner = re.search(r"/(\w+)/\{id\}", operation.path)
    if owner:
        known = {"items": "item_id", "schedules": "schedule_id", "tokens": "token_id"}
        names["id"] = names[known.get(owner[1], "timer_id")]
    assert api("PATCH", f"/queues/{QUEUE}", json={"target": TARGET}).status_code == 200
    return names | {"token": token}


class Talk:
    """Sends requests of one operation, and compares the answers with what is documented."""

    def __init__(self, operation: Operation, api: Api, names: Mapping[str, str]) -> None:
        self.operation = operation
        self.api = api
        self.names = names
        self.statuses: list[int] = []

    def send(self, case: Case[Any]) -> None:
        """Send a request and judge the answer; raises what schemathesis finds."""
        assert case.meta is not None
        part = case.meta.components.get(ParameterLocation.PATH)
        misnamed = part is not None and part.mode.is_negative
        if not misnamed:
            case.path_parameters.update({name: self.names[name] for name in case.path_parameters})
        right = case.meta.generation.mode.is_positive
        if right:
            self.mend(case)
        case.query.pop("wait", None)
        response = case.call(headers={"Authorization": f"Bearer {self.api.token}"})
        self.statuses.append(response.status_code)
        case.validate_response(response, excluded_checks=self.excluded(misnamed))
        if self.statuses.count(response.status_code) <= LOOKED_INTO:
            self.look_into(response)
        if right:
            self.check_accepted(response)

    def excluded(self, misnamed: bool) -> list[Any]:
        """Return the checks that mean nothing here."""
        # check_accepted judges more exactly; test_routes.py asks for everything without a token.
        left_out: list[Any] = [positive_data_acceptance, ignored_auth]
        # A wrong name is told before a wrong method; and `preview` is a schedule's id to others.
        if misnamed or self.operation.id == "previewSchedule":
            left_out += [unsupported_method, allow_header_conformance]
        return left_out

    def mend(self, case: Case[Any]) -> None:
        """Give a request that fits the document what only words can ask of it."""
        for container in (case.query, case.headers, *bodies(case.body)):
            for shown in list(container):
                name = re.sub(r"-(\w)", lambda found: found[1].upper(), shown.removeprefix("x-lq-"))
                value = SOUND.get(name)
                if value is ...:
                    del container[shown]
                elif value is not None and container[shown] is not None:
                    container[shown] = value
        headers = case.headers
        if "Idempotency-Key" in headers:
            headers["Idempotency-Key"] = f"request {next(numbers)}"
        if "x-lq-on" in headers:
            headers.pop("x-lq-delay", None)
        if "x-lq-async" not in headers:
            headers.pop("x-lq-heartbeat", None)
        if self.operation.id == "createSchedule":
            headers.update({"x-lq-queue": QUEUE, "x-lq-schedule": SOUND["schedule"]})
        if "Schedule" in self.operation.id and isinstance(case.body, dict):
            case.body["target"] = TARGET
            case.body.pop("key", None)

    def look_into(self, response: Response) -> None:
        given = resolved(DOCUMENT["paths"][self.operation.path][self.operation.method.lower()])
        known = resolved(given["responses"].get(str(response.status_code), {}))
        content = known.get("content", {}).get("application/json")
        if content is not None:
            assert complaints(content["schema"], response.json()) == []

    def check_accepted(self, response: Response) -> None:
        """Refuse that a request which fits the document was refused for what it looked like."""
        if response.status_code in (400, 406, 413, 415, 422):
            problem = response.json()
            codes = {issue["code"] for issue in problem.get("issues", ())} or {problem["type"]}
            assert codes <= WORDS, problem["detail"]


def bodies(body: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects whose fields are options."""
    if isinstance(body, dict):
        yield body
        for each in body.get("items", ()) if isinstance(body.get("items"), list) else ():
            yield from bodies(each)
