"""Every route: which scope opens it, and that it shows and changes nothing of others.

Two fresh environments send the same request, one before there is anything to find, the other
when the first environment has what it asks for. Both must get the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import pytest
import redis
from flask import Flask
from werkzeug.test import TestResponse

from lambdaqueue import ids, keys
from lambdaqueue.administration import Administration
from lambdaqueue.identity import Scope
from tests.api.conftest import TARGET, Api, Tenant, token_for
from tests.api.routes import OPEN, ROUTES, SERVICE_JOB, path_of, routes_of

PRIVATE = b"nobody else may see this"
QUEUE = "wages"
SETTINGS = {"historyLimit": 77, "retry": {"type": "constant", "delay": 123_456, "retries": 3}}

VOLATILE = re.compile(
    r'"(id|created|dueAt|nextRun|lastRun|occurrence|scheduleId|entry|endedAt|since|previousUntil|at|lastUsed|secret|previous|token'
    r'|nextCursor|guid)":"[^"]*"'
)
"""What no two answers have in common."""

ABSENT: Mapping[str, str] = {
    "item_id": "0123456789abc1",
    "queue": QUEUE,
    "entry": "f1-0",
    "key": "k",
    "token_id": "abcd-_89",
    "schedule_id": "0123456789abcdef",
    "timer_id": "t",
    "service": "billing",
    "job": "wages",
    "name": "0123456789abc1",
}


def test_every_route_is_in_the_table(app: Flask) -> None:
    assert routes_of(app) == ROUTES.keys() | OPEN


@pytest.mark.parametrize("name", ROUTES)
def test_scopes(app: Flask, api: Api, administration: Administration, name: str) -> None:
    route = ROUTES[name]
    method, path = path_of(name, objects_of(api))
    assert api.raw(method, path, **route.request).status_code == 401
    for scope in Scope:
        others = set(Scope) - {scope}
        for held, opens in (({scope}, scope is route.scope), (others, scope is not route.scope)):
            token = token_for(administration, keys.DEFAULT_ENVIRONMENT, held, f"{scope} {opens}")
            status = ask(Api(app, token), method, path, name).status_code
            if opens:
                assert status not in (401, 403), (held, status)
            else:
                assert status == 403, held


@pytest.mark.parametrize("ended", [False, True], ids=["waiting", "ended"])
@pytest.mark.parametrize("name", ROUTES)
def test_isolation(
    app: Flask, api: Api, tenant: Callable[[str], Tenant], redis_url: str, name: str, ended: bool
) -> None:
    """B86."""
    early, late = tenant("early"), tenant("later")
    before = ask(early.api, *path_of(name, ABSENT), name)
    mine = objects_of(api, ended=ended)
    method, path = path_of(name, mine)
    with redis.Redis.from_url(redis_url) as client:
        state = dict(state_of(client, keys.DEFAULT_ENVIRONMENT))
        assert len(state) > 10
        after = ask(late.api, method, path, name)
        assert dict(state_of(client, keys.DEFAULT_ENVIRONMENT)) == state
    assert after.status_code == before.status_code
    assert shown(after, late, mine) == shown(before, early, ABSENT)
    assert head(after) == head(before)
    for private in (PRIVATE, b"123456", b"a token of mine", *secrets_of(api)):
        assert private not in after.data
    if not ended:
        assert ask(api, method, path, name).status_code == ROUTES[name].status


def test_two_environments_do_not_meet(tenant: Callable[[str], Tenant]) -> None:
    """Unique keys, idempotency keys, names of queues and tokens are each one's own."""
    one, two = tenant("one"), tenant("two")
    push = {"data": b"1", "headers": {"Content-Type": "text/plain", "Idempotency-Key": "i"}}
    made = {"name": "ci", "scopes": ["read"]}
    for api in (one.api, two.api):
        api("PUT", "/queues/mail", json={"target": "https://example.org/"})
        response = api("POST", "/queues/mail/items", **push)
        assert (response.status_code, response.headers.get("Idempotency-Replayed")) == (201, None)
        assert api.push(key="k", delay="60000").status_code == 201
        assert api("POST", "/tokens", json=made).status_code == 201
    one.api("POST", "/queues/mail/pause")
    assert (two.api("GET", "/queues/mail").json or {})["paused"] is False


def test_a_cursor_opens_nothing(api: Api, tenant: Callable[[str], Tenant]) -> None:
    for number in range(3):
        api.push(QUEUE, payload=PRIVATE, delay="60000", key=f"k{number}")
        api("DELETE", f"/queues/{QUEUE}/items/byKey/k{number}")
        api.push(QUEUE, payload=PRIVATE, delay="60000")
        api("POST", "/tokens", json={"name": f"secret {number}", "scopes": ["read"]})
        schedule_of(api)
        wanted = {"queue": QUEUE, "schedule": "@daily", "target": TARGET, "payload": "a secret"}
        api("PUT", f"/schedules/byKey/{number}", json=wanted)
    other = tenant("other").api
    for path, plural in (
        (f"/queues/{QUEUE}/items", "items"),
        (f"/queues/{QUEUE}/history", "entries"),
        ("/schedules", "schedules"),
        ("/tokens", "tokens"),
        ("/audit", "entries"),
    ):
        cursor = (api("GET", f"{path}?limit=1").json or {})["nextCursor"]
        found = other("GET", f"{path}?cursor={cursor}")
        assert found.status_code == 200
        assert PRIVATE not in found.data
        assert b"secret" not in found.data, path
        names = {row.get("name") for row in (found.json or {})[plural]}
        assert names <= {None, "all"}


def objects_of(api: Api, *, ended: bool = False) -> Mapping[str, str]:
    """Make what the paths' arguments name, and what else an environment may have."""
    assert api("PUT", f"/queues/{QUEUE}", json=SETTINGS).status_code == 200
    api("PATCH", "/environment", json={"retry": {"type": "constant", "delay": 123_456}})
    api("GET", f"/queues/{QUEUE}/secret")
    item = api.push(QUEUE, payload=PRIVATE, key="k", delay="60000").json or {}
    if ended:
        assert api("DELETE", f"/items/{item['id']}").status_code == 200
    api.push(QUEUE, payload=PRIVATE, delay="60000")
    for kind in ("periodic", "timers"):
        timer = {"target": TARGET, "timerCallbackData": PRIVATE.decode()}
        at = {} if kind == "periodic" else {"delay": 60_000}
        assert api("PUT", f"/{kind}/t", json={**timer, **at}).status_code == 200
    made = {"name": "a token of mine", "scopes": ["read"]}
    token = api("POST", "/tokens", json=made).json or {}
    return {
        "item_id": item["id"],
        "queue": QUEUE,
        "entry": entry_of(api),
        "key": "k",
        "token_id": token["id"],
        "schedule_id": schedule_of(api),
        "timer_id": "t",
        "service": "billing",
        "job": "wages",
        "name": execution_of(api, ended=ended),
    }


def entry_of(api: Api) -> str:
    """End an item; return the name of its entry in history."""
    item = api.push(QUEUE, payload=PRIVATE, delay="60000").json or {}
    assert api("DELETE", f"/items/{item['id']}").status_code == 200
    return str((api("GET", f"/items/{item['id']}").json or {})["entry"])


def execution_of(api: Api, *, ended: bool) -> str:
    """Make a service job with an execution; return its name."""
    path = "/services/billing/jobs/wages"
    wanted = {**SERVICE_JOB, "payload": PRIVATE.decode()}
    assert api("PUT", path, json=wanted).status_code == 200
    name = (api("POST", f"{path}/run").json or {})["name"]
    if ended:
        assert api("POST", f"/executions/{name}/cancel").status_code == 200
    return str(name)


def schedule_of(api: Api) -> str:
    """Make a schedule with the key "k" that has pushed a job; return its id."""
    wanted = {"queue": QUEUE, "schedule": "@daily", "target": TARGET, "payload": PRIVATE.decode()}
    schedule = api("PUT", "/schedules/byKey/k", json=wanted).json or {}
    assert api("POST", "/schedules/byKey/k/run").status_code == 201
    return str(schedule["id"])


def secrets_of(api: Api) -> list[bytes]:
    """Return the signature secrets of the client's environment."""
    answers = [api("GET", path).json or {} for path in ("/secret", f"/queues/{QUEUE}/secret")]
    return [str(answer["secret"]).encode() for answer in answers if "secret" in answer]


def ask(api: Api, method: str, path: str, name: str) -> TestResponse:
    """Send the request of the route `name` with the client's token."""
    return api(method, path.removeprefix("/api/v1"), **ROUTES[name].request)


def shown(response: TestResponse, who: Tenant, objects: Mapping[str, str]) -> str:
    """Return the body without what differs between any two environments, or was asked for."""
    text = VOLATILE.sub(r'"\1":"…"', response.text).replace(who.name, "…").replace(who.id, "…")
    for value in (
        objects[name] for name in ("item_id", "entry", "token_id", "schedule_id", "name")
    ):
        text = text.replace(value, "…")
    return text


def head(response: TestResponse) -> dict[str, str]:
    return {
        name: value
        for name, value in response.headers.items()
        if name.lower() not in ("x-request-id", "content-length")
    }


def state_of(client: redis.Redis, environment: str) -> Iterator[tuple[str, object]]:
    """Yield all that Redis has of an environment, its places in the shared indexes included."""
    for key in client.scan_iter(f"lq:{environment}:*"):
        yield key.decode(), client.dump(key)
    ref = f"{environment}:".encode()
    for name in ("lq:wake", "lq:ready", "lq:due_schedules", "lq:deadlines"):
        for member, score in client.zscan_iter(name):
            # A queue's ref, or RQ's id of a job: the job's own, and a number.
            job_id = member.decode().partition("_")[0]
            if member.startswith(ref) or ids.environment_of(job_id) == environment:
                yield f"{name} {member.decode()}", score
    yield (
        "in line",
        {field: value for field, value in client.hscan_iter("lq:in_line") if field.startswith(ref)},
    )
