"""Every page and form of the panel: what it takes. `test_guard.py` holds it against the app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lambdaqueue.account import Role

__all__ = ["BACK", "OPEN", "PAGES_AND_FORMS", "ROUTES", "Route"]

OPEN = frozenset(
    {
        "GET /static/<filename>",
        "GET /sign-in",
        "POST /sign-in",
        "GET /first",
        "POST /first",
        *(f"{method} /<path:rest>" for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
    }
)
"""For which nobody has to be signed in; below /admin."""


@dataclass(frozen=True)
class Route:
    """The role that a route takes (None: any account), and whether the password, once more."""

    role: Role | None = None
    recent: bool = False


VIEWER = Route(Role.VIEWER)
ADMIN = Route(Role.ADMIN)

RQ_LIST = "<queue_name>/<registry_name>/<per_page>/<order>/<page>"

# Keys are below /admin; `E` stands for `/e/<environment>`.
PAGES_AND_FORMS: Mapping[str, Route] = {
    "GET ": Route(),
    "GET /": Route(),
    "GET E": Route(),
    "GET E/": Route(),
    "GET /account": Route(),
    "POST /account/password": Route(recent=True),
    "POST /account/sign-out-everywhere": Route(),
    "GET /accounts": ADMIN,
    "POST /accounts": Route(Role.ADMIN, recent=True),
    "GET /accounts/<account>": ADMIN,
    "POST /accounts/<account>/role": Route(Role.ADMIN, recent=True),
    "POST /accounts/<account>/password": Route(Role.ADMIN, recent=True),
    "POST /accounts/<account>/remove": Route(Role.ADMIN, recent=True),
    "GET /prove": Route(),
    "POST /prove": Route(),
    "POST /sign-out": Route(),
    "GET E/overview": VIEWER,
    "GET E/queues": VIEWER,
    "GET E/queues/<queue:queue>": VIEWER,
    "POST E/queues/<queue:queue>/pause": ADMIN,
    "POST E/queues/<queue:queue>/resume": ADMIN,
    "POST E/queues/<queue:queue>/purge": Route(Role.ADMIN, recent=True),
    "POST E/queue-drop/<queue:queue>": Route(Role.ADMIN, recent=True),
    "GET E/queue-settings/<queue:queue>": VIEWER,
    "POST E/queue-settings/<queue:queue>": ADMIN,
    "GET E/queues/<queue:queue>/items": VIEWER,
    "GET E/queues/<queue:queue>/history": VIEWER,
    "GET E/queues/<queue:queue>/history/<entry>": VIEWER,
    "POST E/queues/<queue:queue>/history/<entry>/replay": ADMIN,
    "POST E/queues/<queue:queue>/history/replay": ADMIN,
    "GET E/items/<item_id>": VIEWER,
    "POST E/items/<item_id>/run": ADMIN,
    "POST E/items/<item_id>/cancel": ADMIN,
    "GET E/items/<item_id>/edit": ADMIN,
    "POST E/items/<item_id>/edit": ADMIN,
    "GET E/search": VIEWER,
    "GET E/settings": VIEWER,
    "POST E/settings/retry": ADMIN,
    "POST E/settings/tokens": Route(Role.ADMIN, recent=True),
    "POST E/settings/tokens/<token_id>/revoke": Route(Role.ADMIN, recent=True),
    "POST E/settings/secret": Route(Role.ADMIN, recent=True),
    "POST E/settings/secret/rotate": Route(Role.ADMIN, recent=True),
    "GET E/audit": ADMIN,
    "GET /environments": Route(),
    "GET /rq": VIEWER,
    "GET /rq/": VIEWER,
    "GET /rq/0/view/queues": VIEWER,
    "GET /rq/0/view/workers": VIEWER,
    "GET /rq/0/view/jobs": VIEWER,
    f"GET /rq/0/view/jobs/{RQ_LIST}": VIEWER,
    "GET /rq/0/view/job/<job_id>": VIEWER,
    "GET /rq/0/data/queues.json": VIEWER,
    "GET /rq/0/data/workers.json": VIEWER,
    f"GET /rq/0/data/jobs/{RQ_LIST}.json": VIEWER,
    "GET /rq/0/data/job/<job_id>.json": VIEWER,
    "GET E/schedules": VIEWER,
    "GET E/schedules/<schedule_id>": VIEWER,
    "POST E/schedules/<schedule_id>/pause": ADMIN,
    "POST E/schedules/<schedule_id>/resume": ADMIN,
    "POST E/schedules/<schedule_id>/run": ADMIN,
    "POST E/schedules/<schedule_id>/remove": Route(Role.ADMIN, recent=True),
    "GET E/services": VIEWER,
    "GET E/services/<service>/<job>": VIEWER,
    "POST E/services/<service>/<job>/run": ADMIN,
    "POST E/services/<service>/<job>/test": ADMIN,
    "GET E/executions/<name>": VIEWER,
    "POST E/executions/<name>/cancel": ADMIN,
    "POST E/executions/<name>/retry": ADMIN,
}

BACK: Mapping[str, str] = {
    "/account/password": "/account",
    "/account/sign-out-everywhere": "/account",
    "/accounts/<account>/role": "/accounts/<account>",
    "/accounts/<account>/password": "/accounts/<account>",
    "/accounts/<account>/remove": "/accounts/<account>",
    "/sign-out": "",
    "E/queues/<queue:queue>/pause": "E/queues/<queue:queue>",
    "E/queues/<queue:queue>/resume": "E/queues/<queue:queue>",
    "E/queues/<queue:queue>/purge": "E/queues/<queue:queue>",
    "E/queue-drop/<queue:queue>": "E/queues/<queue:queue>",
    "E/queues/<queue:queue>/history/<entry>/replay": "E/queues/<queue:queue>/history/<entry>",
    "E/queues/<queue:queue>/history/replay": "E/queues/<queue:queue>/history",
    "E/items/<item_id>/run": "E/items/<item_id>",
    "E/items/<item_id>/cancel": "E/items/<item_id>",
    "E/settings/retry": "E/settings",
    "E/settings/tokens": "E/settings",
    "E/settings/tokens/<token_id>/revoke": "E/settings",
    "E/settings/secret": "E/settings",
    "E/settings/secret/rotate": "E/settings",
    "E/schedules/<schedule_id>/pause": "E/schedules/<schedule_id>",
    "E/schedules/<schedule_id>/resume": "E/schedules/<schedule_id>",
    "E/schedules/<schedule_id>/run": "E/schedules/<schedule_id>",
    "E/schedules/<schedule_id>/remove": "E/schedules/<schedule_id>",
    "E/services/<service>/<job>/run": "E/services/<service>/<job>",
    "E/services/<service>/<job>/test": "E/services/<service>/<job>",
    "E/executions/<name>/cancel": "E/executions/<name>",
    "E/executions/<name>/retry": "E/executions/<name>",
}
"""Paths that only forms are sent to, and the pages of these forms: a GET of theirs leads there."""

ROUTES = {**PAGES_AND_FORMS, **{f"GET {path}": Route() for path in BACK}}
