"""What RQ sees, by rq-dashboard: its views that only look, and none of its others.

Its blueprint is not used: that connects by a URL, and has routes that change something, some even
by GET. Its templates aren't either: they need a CSP with unsafe-eval, and put fields of jobs into
pages as markup. Templates of the same names in our folder show the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from flask import Blueprint, Response
from flask.blueprints import BlueprintSetupState
from rq.exceptions import NoSuchJobError
from rq.serializers import JSONSerializer
from rq_dashboard import web
from werkzeug.exceptions import NotFound

from api.admin.guard import page
from api.admin.rq_readers import ShownJob, ShownQueue, ShownWorker
from api.current import EXTENSION
from lambdaqueue import keys
from lambdaqueue.account import Role
from lambdaqueue.connection import translated

__all__ = ["REGISTRIES", "VIEWS", "blueprint"]

# The views look these names up when they are called.
web.config.serializer = JSONSerializer
web.Job, web.Queue, web.Worker = ShownJob, ShownQueue, ShownWorker

blueprint = Blueprint("rq", __name__)

LIST = "<queue_name>/<registry_name>/<per_page>/<order>/<page>"
VIEWS = {
    "queues_overview": "/rq/0/view/queues",
    "workers_overview": "/rq/0/view/workers",
    "jobs_overview": f"/rq/0/view/jobs/{LIST}",
    "job_view": "/rq/0/view/job/<job_id>",
    "list_queues": "/rq/0/data/queues.json",
    "list_workers": "/rq/0/data/workers.json",
    "list_jobs": f"/rq/0/data/jobs/{LIST}.json",
    "job_info": "/rq/0/data/job/<job_id>.json",
}
"""The views of rq-dashboard that can be reached, and where, as in rq-dashboard itself.

A name that isn't here is not there: also not what a newer version adds.
"""

REGISTRIES = ("queued", "started", "scheduled", "deferred", "finished", "failed", "canceled")
LISTED = {
    "registry_name": re.compile("|".join(REGISTRIES)),
    "order": re.compile("asc|dsc"),
    "per_page": re.compile("[1-9][0-9]?|1[0-9][0-9]|200"),
    "page": re.compile("[1-9][0-9]{0,5}"),
}
"""What may stand in the path of a list; each job on a page is a question to Redis."""

FIRST = {
    "queue_name": keys.LINE_NAME,
    "registry_name": "queued",
    "per_page": "20",
    "order": "asc",
    "page": "1",
}


@blueprint.record
def connect(state: BlueprintSetupState) -> None:
    """Let the views use the app's own client: TLS, Sentinel and sockets are in its settings."""
    state.app.redis_conn = state.app.extensions[EXTENSION].client  # type: ignore[attr-defined]


@blueprint.context_processor
def what_templates_know() -> dict[str, Any]:
    """Give templates the data of the pages that rq-dashboard's scripts would fetch."""
    return {"listed": listed, "registries": REGISTRIES}


@blueprint.get("/rq")
@blueprint.get("/rq/", endpoint="index_slash")
@page(Role.VIEWER)
def index() -> Response:
    """Show the queues."""
    return answer("queues_overview")


@blueprint.get("/rq/0/view/jobs")
@page(Role.VIEWER)
def jobs() -> Response:
    """Show what is ready for workers."""
    return answer("jobs_overview", **FIRST)


def answer(name: str, **arguments: Any) -> Response:
    """Return what a view of rq-dashboard answers.

    Raises:
        NotFound: there is no such job or list. StorageUnavailable
    """
    for argument, pattern in LISTED.items():
        if argument in arguments and not pattern.fullmatch(arguments[argument]):
            raise NotFound("There is no such list.")
    given: dict[str, Any] = {"instance_number": 0, **arguments}
    given |= {each: int(given[each]) for each in ("per_page", "page") if each in given}
    view: Callable[..., Any] = getattr(web, name)
    try:
        with translated():
            made = view(**given)
    except NoSuchJobError:
        raise NotFound("There is no such job; it may have ended.") from None
    # JSON comes with a header that the panel sets anyway.
    return cast(Response, made[0] if isinstance(made, tuple) else made)


def listed(name: str, **arguments: Any) -> Any:
    """Return the data that a view answers as JSON."""
    texts = {each: str(value) for each, value in arguments.items()}
    return answer(name, **texts).get_json()


def _route(name: str) -> None:
    @page(Role.VIEWER)
    def view(**arguments: Any) -> Response:
        return answer(name, **arguments)

    blueprint.add_url_rule(VIEWS[name], name, view, defaults={"instance_number": 0})


for _name in VIEWS:
    _route(_name)
