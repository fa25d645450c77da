"""RQ in the panel: rq-dashboard's views, that only look, unpickle nothing and show text only."""

from __future__ import annotations

import base64
import pickle
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from flask import Flask
from rq_dashboard import blueprint as theirs
from werkzeug.routing import Rule

from api.admin.rq import REGISTRIES, VIEWS
from api.admin.texts import visible
from lambdaqueue import keys
from lambdaqueue.account import Role
from tests.api.admin.conftest import NASTY, ORIGIN, Panel
from tests.api.admin.test_guard import Visitor, state
from tests.api.conftest import Api, parts_of

LOOKING = {
    "job_info",
    "job_view",
    "jobs_overview",
    "list_jobs",
    "list_queues",
    "list_workers",
    "queues_overview",
    "workers_overview",
}
"""What rq-dashboard's views with these names do was read; nobody has read others."""

PAGES = (
    "/rq",
    "/rq/0/view/queues",
    "/rq/0/view/workers",
    "/rq/0/view/jobs",
    "/rq/0/data/queues.json",
    "/rq/0/data/workers.json",
)
STAMP = "2026-01-02T03:04:05.000000Z"
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
SAMPLES = {"queue_name": keys.LINE_NAME, "registry_name": "queued", "instance_number": "0"}


class Bomb:
    """Makes a file where it's unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.fixture
def books(redis_url: str) -> Iterator[redis.Redis]:
    """Redis, for what others write there."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def data(panel: Panel, path: str) -> Any:
    answer = panel.get(path).answer
    assert answer.mimetype == "application/json"
    return answer.json


def their_rules() -> list[Rule]:
    """Return the routes of rq-dashboard's own blueprint, as they would be below /admin/rq."""
    app = Flask("theirs", static_folder=None)
    app.register_blueprint(theirs, url_prefix="/rq")
    return list(app.url_map.iter_rules())


def lists(queue: str = keys.LINE_NAME) -> Iterator[str]:
    for registry in REGISTRIES:
        for order in ("asc", "dsc"):
            yield f"/rq/0/view/jobs/{queue}/{registry}/20/{order}/1"
            yield f"/rq/0/data/jobs/{queue}/{registry}/20/{order}/1.json"


def of_job(job_id: str) -> tuple[str, str]:
    return f"/rq/0/view/job/{job_id}", f"/rq/0/data/job/{job_id}.json"


def in_every_list(books: redis.Redis, job_id: str) -> None:
    books.rpush(keys.line, job_id)
    books.sadd("rq:queues", keys.line)
    books.zadd(f"rq:wip:{keys.LINE_NAME}", {f"{job_id}:x": 9e12})
    for registry in REGISTRIES[2:]:
        books.zadd(f"rq:{registry}:{keys.LINE_NAME}", {job_id: 9e12})


def test_who_may_look(guest: Panel, viewer: Panel, visitor: Visitor) -> None:
    narrow = visitor({keys.DEFAULT_ENVIRONMENT: Role.ADMIN})
    for path in (*PAGES, *lists(), *of_job("x")):
        assert guest.get(path, 303).location.startswith("/admin/sign-in?next=/admin/rq"), path
        narrow.get(path, 403)
        viewer.get(path, 404 if "/job/" in path else 200)
        assert viewer.open("HEAD", path).answer.data == b""
        assert viewer.open("GET", path, headers={"Host": "evil.example"}).status == 400


def test_the_way_there(viewer: Panel, visitor: Visitor) -> None:
    for path in ("/account", "/e/default/queues"):
        assert "/admin/rq" in viewer.get(path).links
    narrow = visitor({keys.DEFAULT_ENVIRONMENT: Role.ADMIN})
    assert "/admin/rq" not in narrow.get("/account").links


def test_what_is_ready(viewer: Panel, api: Api) -> None:
    for _ in range(3):
        assert api.push().status_code == 201
    (queue,) = data(viewer, "/rq/0/data/queues.json")["queues"]
    assert (queue["name"], queue["count"]) == ("lambdaqueue", 3)
    assert viewer.get("/rq").shows("lambdaqueue")
    page = viewer.get("/rq/0/view/jobs/lambdaqueue/queued/2/asc/1")
    found = data(viewer, "/rq/0/data/jobs/lambdaqueue/queued/2/asc/1.json")
    assert page.shows("Page 1 of 2")
    assert not page.shows("+00:00")
    assert "/admin/rq/0/view/jobs/lambdaqueue/queued/2/asc/2" in page.links
    assert [each["description"] for each in found["jobs"]] == ["LambdaQueue delivery"] * 2
    job_id = found["jobs"][0]["id"]
    assert f"/admin/rq/0/view/job/{job_id}" in page.links
    assert viewer.get(f"/rq/0/view/job/{job_id}").shows("LambdaQueue delivery")
    job = data(viewer, f"/rq/0/data/job/{job_id}.json")
    assert (job["status"], job["origin"], job["result"]) == ("queued", "lambdaqueue", None)


def test_it_stays_fresh(viewer: Panel, api: Api) -> None:
    answer = viewer.client.get(
        "/admin/rq/0/view/queues", headers={"Accept": "text/event-stream"}, buffered=False
    )
    first = next(answer.iter_encoded())
    answer.close()
    assert b"rq-queues" in first


# Only to look at


def test_every_view_that_can_be_reached_was_read() -> None:
    assert VIEWS.keys() == LOOKING


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_nothing_else_of_it_can_be_reached(
    panel: Panel, api: Api, redis_url: str, method: str
) -> None:
    """All its routes, also those of a newer version, by all methods, from the panel's own pages."""
    api.push()
    before = state(redis_url)
    headers = {"Origin": ORIGIN, "x-csrf": panel.csrf}
    reached = set()
    for rule in their_rules():
        path = ARGUMENT.sub(lambda found: SAMPLES.get(found[1], "1"), rule.rule)
        page = panel.open(method, path, headers=headers)
        name = rule.endpoint.rpartition(".")[2]
        if page.status == 200:
            reached.add(name)
            assert method == "GET", rule
        else:
            assert page.status in (403, 404, 405), rule
    assert reached <= LOOKING
    assert state(redis_url) == before


def test_looking_changes_nothing(
    panel: Panel, api: Api, books: redis.Redis, redis_url: str
) -> None:
    """Neither entries whose job is gone, nor workers that are."""
    api.push()
    in_every_list(books, "gone")
    books.sadd("rq:workers", "rq:worker:dead")
    books.sadd("rq:workers:lambdaqueue", "rq:worker:dead")
    client = parts_of(panel.app).client
    options = dict(client.connection_pool.connection_kwargs)
    before = state(redis_url)
    for path in (*PAGES, *lists()):
        panel.get(path)
    for path in of_job("gone"):
        panel.get(path, 404)
    assert state(redis_url) == before
    assert client.connection_pool.connection_kwargs == options


@pytest.mark.parametrize(
    "path",
    [
        "/rq/1/view/queues",
        "/rq/0/view/jobs/lambdaqueue/nothing/20/asc/1",
        "/rq/0/view/jobs/lambdaqueue/queued/0/asc/1",
        "/rq/0/view/jobs/lambdaqueue/queued/201/asc/1",
        "/rq/0/view/jobs/lambdaqueue/queued/-1/asc/1",
        "/rq/0/view/jobs/lambdaqueue/queued/20/up/1",
        "/rq/0/data/jobs/lambdaqueue/queued/20/asc/0.json",
        "/rq/0/data/jobs/lambdaqueue/queued/20/asc/9999999.json",
        "/rq/0/data/jobs/lambdaqueue/queued/²/asc/1.json",
    ],
)
def test_there_is_no_such_list(viewer: Panel, path: str) -> None:
    viewer.get(path, 404)


# What stands in a job


@pytest.mark.parametrize("nasty", NASTY)
def test_fields_are_text(viewer: Panel, books: redis.Redis, nasty: str) -> None:
    """`Page` looks for scripts, styles and handlers in every answer; here for any new tag."""
    queue = re.sub("[/%?#]", "", nasty)
    plain = tags_of(viewer, books, "plain", "plain")
    found = tags_of(viewer, books, queue, nasty)
    assert found == plain
    job = "/rq/0/view/job/odd"
    assert viewer.get(job).shows(visible(nasty))
    assert viewer.get("/rq/0/view/jobs/lambdaqueue/failed/20/asc/1").shows(visible(nasty))
    assert viewer.get("/rq").shows(visible(queue))
    assert viewer.get("/rq/0/view/workers").shows(visible(queue))
    told = data(viewer, "/rq/0/data/job/odd.json")
    assert told["description"] == nasty
    assert (told["exc_info"], told["result"], told["metadata"]) == (None, None, "{}")


def tags_of(viewer: Panel, books: redis.Redis, queue: str, text: str) -> list[list[str]]:
    """Let RQ's books have nothing but `text`, and return the tags of all pages."""
    books.delete("rq:queues", "rq:workers", *books.scan_iter("rq:*"))
    fields = ("description", "exc_info", "result", "meta", "worker_name", "data")
    times = {"created_at": STAMP, "ended_at": STAMP}
    job: Any = {
        **dict.fromkeys(fields, text),
        "status": "failed",
        "origin": keys.LINE_NAME,
        **times,
    }
    books.hset("rq:job:odd", mapping=job)
    in_every_list(books, "odd")
    in_every_list(books, text.replace(":", ""))  # no id of RQ's
    books.sadd("rq:queues", f"rq:queue:{queue}")
    books.sadd("rq:workers", f"rq:worker:{queue}")
    worker: Any = {
        "queues": queue,
        "state": text,
        "version": text,
        "current_job": "odd",
        "birth": STAMP,
    }
    books.hset(f"rq:worker:{queue}", mapping=worker)
    paths = (*PAGES, *lists(), *lists(quote(queue)), *of_job("odd"))
    pages = [viewer.get(path) for path in paths]
    return [[tag for tag, _ in page.tags] for page in pages if page.answer.mimetype == "text/html"]


def test_nothing_is_unpickled(viewer: Panel, books: redis.Redis, tmp_path: Path) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "went off"))
    fields: Any = {
        name: (zlib.compress(bomb) if name in ("data", "exc_info") else bomb)
        for name in ("data", "result", "meta", "exc_info", "dependency_ids", "webhooks", "timeout")
    }
    told: Any = {"status": "finished", "origin": keys.LINE_NAME, "created_at": STAMP}
    books.hset("rq:job:bomb", mapping={**fields, **told})
    books.xadd(
        "rq:results:bomb", {"type": "1", "created_at": "1", "return_value": base64.b64encode(bomb)}
    )
    in_every_list(books, "bomb")
    books.sadd("rq:workers", "rq:worker:w")
    worker: Any = {"queues": keys.LINE_NAME, "state": "busy", "current_job": "bomb", "birth": STAMP}
    books.hset("rq:worker:w", mapping=worker)
    for path in (*PAGES, *lists(), *of_job("bomb")):
        viewer.get(path)
    assert not (tmp_path / "went off").exists()
    pickle.loads(bomb).close()
    assert (tmp_path / "went off").exists()  # it would have


def test_a_hash_that_is_no_job(viewer: Panel, books: redis.Redis) -> None:
    """It's not there; the others on the page are."""
    books.hset("rq:job:odd", mapping={"data": "", "status": "odd", "origin": keys.LINE_NAME})
    in_every_list(books, "odd")
    for path in lists():
        viewer.get(path)
    for path in of_job("odd"):
        viewer.get(path, 404)


def test_its_own_templates_are_not_used(app: Flask) -> None:
    """They'd put fields of jobs into pages as markup."""
    folder = Path(app.root_path) / "templates"
    for name in ("queues", "workers", "jobs", "job"):
        template = app.jinja_env.get_template(f"rq_dashboard/{name}.html")
        assert template.filename is not None
        assert Path(template.filename).is_relative_to(folder)
