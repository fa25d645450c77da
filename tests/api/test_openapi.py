"""The OpenAPI document is valid, and tells of every route, field and example, and of no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import history_schemas, message_schemas, schemas, service_schemas
from api.openapi import OPERATIONS, TAGS
from api.openapi.components import REQUESTS
from api.openapi.meanings import MEANINGS
from lambdaqueue import __version__
from lambdaqueue.errors import UnreadableRequest
from tests.api.conftest import TARGET, Api, codes
from tests.api.described import (
    DOCUMENT,
    complaints,
    complaints_about,
    operation_of,
    resolved,
)
from tests.api.routes import OPEN, ROUTES, path_of, routes_of
from tests.api.test_routes import QUEUE, objects_of

PAGES = {"GET /", "GET /docs", "GET /docs/docs.css"}
"""Pages for people, which the document isn't about."""

DESCRIBED = (ROUTES.keys() | OPEN) - PAGES

QUERIES: tuple[type[Schema], ...] = (
    schemas.ItemQuery,
    schemas.ItemsQuery,
    schemas.ListQuery,
    schemas.AuditQuery,
    schemas.SchedulesQuery,
    schemas.RunsQuery,
    schemas.PreviewQuery,
    schemas.TokensQuery,
    history_schemas.HistoryQuery,
    history_schemas.ExportQuery,
    service_schemas.JobSearch,
    service_schemas.ExecutionQuery,
)

READS: Mapping[str, type[Schema]] = {
    "BatchItem": schemas.ItemSchema,
    "Batch": schemas.BatchSchema,
    "ItemChange": schemas.ChangeSchema,
    "ScheduleRequest": schemas.ScheduleSchema,
    "ScheduleChange": schemas.ScheduleChangeSchema,
    "QueueSettings": schemas.QueueSchema,
    "Purge": schemas.PurgeSchema,
    "EnvironmentChange": schemas.EnvironmentSchema,
    "NewToken": schemas.TokenSchema,
    "Rotation": schemas.RotationSchema,
    "PeriodicTimer": message_schemas.PeriodicSchema,
    "OnceTimer": message_schemas.TimerSchema,
    "Message": message_schemas.MessageSchema,
    "Replay": history_schemas.ReplaySchema,
    "Replays": history_schemas.ReplaysSchema,
    "ServiceJobRequest": service_schemas.ServiceJobSchema,
    "JobSearch": service_schemas.JobSearch,
    "ExecutionSearch": service_schemas.ExecutionSearch,
    "Callback": service_schemas.CallbackSchema,
}

PROBES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 5, 60, 59, 2_000, 10**6, 10**12, 10**18, 0.5, 100.5,
    "", "x", "x" * 128, "x" * 129, "x" * 255, "x" * 256, "x" * 5_000, "a\x00b", "\n", "\x85", "é",
    "5", "true", "none", "json", "base64", "GET", "replace", "once", "all", "allow", "skip",
    "http", "required", "PENDING", "RUNNING", "FAILED", "success", "processing", "push", "items",
    "a/items", "a//b", "a/b", "a/run", "text/plain", "text/plain; charset=utf-8", "a b",
    "200-299", "200-299,304", "99", "999-200", "rate(5 minutes)", "cron(0 6 * * ? *)", "@daily",
    "UTC", "2999-01-01T00:00:00Z", "2020-01-01T00:00:00+01:00", "2020-01-01", "0mwq83nuu00001",
    "https://example.org/", "1795254417017-0", "0-0", "1795254417017-0-f", "my-service",
    [], [1], ["push"], ["push", "push"], ["x"] * 2, ["x"] * 101, [{}], {}, {"a": 1}, {"a": "b"},
    {"x-lq-a": "b"}, {"limit": 1, "period": 1}, {"limit": 1, "period": 1, "burst": 1},
    {"limit": 0, "period": 1}, {"concurrency": 1}, {"ordered": True}, {"concurrency": None},
    {"ratio": 0.5, "window": 1_000}, {"ratio": 0, "window": 1_000}, {"ratio": 1},
    {"type": "list"}, {"type": "list", "delays": [1]}, {"type": "constant"}, {"retries": 51},
    {"jitter": 0.5, "factor": 2.5}, {"jitter": 2}, {"delays": []}, {"max": 1.5},
    {"queue": "a", "target": "https://example.org/"}, {"queue": "a"},
    {"queue": "a", "target": "https://example.org/", "format": "xml"},
)  # fmt: skip

WORDS_ONLY = {
    # What a URL, a time or an expression must be like is beyond a schema, or depends on the clock
    # and on what the operator allows.
    "target", "url", "invocation_target", "on", "at", "expires", "startsAt", "endsAt", "since",
    "until", "from", "schedule", "successStatus", "headers", "validation", "onSuccess", "onFailure",
    # Printable characters only.
    "name",
}  # fmt: skip
"""Fields of which a schema can't say all."""

LATER = {"items", "schedule", "service_name", "job_name"}
"""Fields whose values are judged one by one, or where they meet, when the rest is read."""


def test_it_is_openapi() -> None:
    assert [str(each) for each in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []
    assert DOCUMENT["info"]["version"] == __version__
    assert DOCUMENT["servers"] == [{"url": "https://queue.example.org"}]


def test_every_route_is_in_it_and_nothing_else(app: Flask) -> None:
    told = [id(operation_of(name)) for name in routes_of(app) - PAGES]
    assert len(OPERATIONS) == sum(len(methods) for methods in DOCUMENT["paths"].values())
    # GET /queues has a second spelling, with a slash.
    assert len(set(told)) == len(OPERATIONS) == len(told) - 1


def test_names_and_tags() -> None:
    assert len({each.id for each in OPERATIONS}) == len(OPERATIONS)
    assert {each.tag for each in OPERATIONS} == set(TAGS)
    assert {tag["name"] for tag in DOCUMENT["tags"]} == set(TAGS)


@pytest.mark.parametrize("name", sorted(DESCRIBED))
def test_security(name: str) -> None:
    scoped = [{"bearer": [ROUTES[name].scope]}] if name in ROUTES else []
    if name == "GET /metrics":
        scoped = [{"metrics": []}, {}]
    assert operation_of(name)["security"] == scoped


def test_no_component_is_left_over() -> None:
    text = str(DOCUMENT)
    for kind, components in DOCUMENT["components"].items():
        for name in components:
            assert kind == "securitySchemes" or f"#/components/{kind}/{name}'" in text, name


def test_every_body_has_its_fields() -> None:
    assert READS.keys() == REQUESTS.keys()
    for name, read in READS.items():
        fields = {field.data_key or own: field for own, field in read().load_fields.items()}
        described = DOCUMENT["components"]["schemas"][name]
        assert described["properties"].keys() == fields.keys()
        required = {own for own, field in fields.items() if field.required}
        # `payload` is asked for before the rest is read.
        assert set(described.get("required", ())) - {"payload"} == required - {"payload"}


def test_every_meaning_is_somebodys() -> None:
    used = {
        f"{read.__name__}.{field.data_key or name}"
        for read in (*READS.values(), *QUERIES)
        for name, field in read().load_fields.items()
    }
    plain = {name.partition(".")[2] for name in used}
    assert MEANINGS.keys() - used - plain == set()
    assert all(MEANINGS.values())


@pytest.mark.parametrize("name", READS)
def test_fields_take_what_they_are_said_to(app: Flask, name: str) -> None:
    described = DOCUMENT["components"]["schemas"][name]["properties"]
    schema = READS[name]()
    with app.app_context():
        for own, field in schema.load_fields.items():
            shown = field.data_key or own
            for probe in PROBES:
                taken = accepts(field.deserialize, probe)
                wrong = complaints(described[shown], probe)
                if taken and shown not in LATER:
                    assert wrong == [], (shown, probe)
                elif not taken and shown not in WORDS_ONLY and not searched(name, probe):
                    assert wrong, (shown, probe)


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 422), ({"at": None}, 422), ({"delay": 1, "at": None}, 200), ({"delay": 1}, 200)],
)
def test_a_timer_takes_one_of_two_times(api: Api, body: Mapping[str, Any], status: int) -> None:
    assert api("PUT", "/timers/t", json=body).status_code == status
    wrong = complaints({"$ref": "#/components/schemas/OnceTimer"}, body)
    assert bool(wrong) is (status == 422)


@pytest.mark.parametrize("key", ["a%0Ab", "a%0A", "%0A", "a%0D", "a%C2%85"])
def test_control_characters_of_keys_in_paths(api: Api, key: str) -> None:
    """Also a line break is told to be one; it is no path that leads nowhere."""
    wanted = {"queue": QUEUE, "schedule": "@daily", "target": TARGET}
    bodies = {"/schedules/byKey": wanted, "/periodic": {}, "/timers": {"delay": 1}}
    for path, body in bodies.items():
        assert codes(api("PUT", f"{path}/{key}", json=body)) == ["control_character"], path


def searched(name: str, probe: object) -> bool:
    """In the body of a search null is not given, so no field ever sees it."""
    return probe is None and name.endswith("Search")


def test_searches_take_null_for_what_is_not_given(api: Api) -> None:
    for name, path in (("JobSearch", "/jobs"), ("ExecutionSearch", "/executions")):
        nothing = dict.fromkeys(DOCUMENT["components"]["schemas"][name]["properties"])
        assert complaints({"$ref": f"#/components/schemas/{name}"}, nothing) == []
        assert api("POST", path, json=nothing).status_code == 200


def accepts(read: Callable[[Any], Any], value: Any) -> bool:
    try:
        read(value)
    except (ValidationError, UnreadableRequest):
        return False
    return True


def examples() -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            parts = [("body", operation.get("requestBody", {}))]
            parts += [(status, resolved(each)) for status, each in operation["responses"].items()]
            for where, part in parts:
                for media, held in part.get("content", {}).items():
                    if "example" in held:
                        yield f"{method} {path} {where} {media}", held["schema"], held["example"]
            for each in operation.get("parameters", ()):
                if "schema" in each and "example" in each:
                    value, schema = each["example"], resolved(each["schema"])
                    number = schema.get("type") == "integer"
                    yield f"{method} {path} {each['name']}", schema, int(value) if number else value


def test_examples_are_valid() -> None:
    found = list(examples())
    assert len(found) > 3 * len(OPERATIONS)
    for where, schema, example in found:
        assert complaints(schema, example) == [], where


@pytest.mark.parametrize("name", ROUTES)
def test_examples_work(api: Api, name: str) -> None:
    """Each request of the document, in front of real objects, gets a documented success."""
    operation = operation_of(name)
    method, path = path_of(name, objects_of(api))
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    for parameter in operation.get("parameters", ()):
        if "example" in parameter:
            given = {"header": headers, "query": query}.get(parameter["in"], {})
            given[parameter["name"]] = parameter["example"]
    content = operation.get("requestBody", {}).get("content", {})
    bodies = [{"json": held["example"]} for held in content.values() if "example" in held] or [{}]
    response = api(
        method, path.removeprefix("/api/v1"), headers=headers, query_string=query, **bodies[0]
    )
    assert complaints_about(name, response) == []
    wanted = 409 if ROUTES[name].status == 409 else 299
    assert response.status_code <= wanted, response.text
