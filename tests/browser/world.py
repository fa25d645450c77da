"""Objects of every kind, with markup wherever somebody may write, and all pages that show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import redis
import requests
from rq import Queue

from lambdaqueue.identity import ALL_SCOPES
from tests.api.admin.routes import BACK, OPEN, ROUTES
from tests.browser.stage import PanelStage
from tests.workers.hook import Reply
from tests.workers.service_stage import SERVICE, callback_url
from tests.workers.stage import ACTOR

__all__ = ["EVIL", "PAGES", "QUEUE", "SHORT", "Sample", "World"]

EVIL = (
    "</textarea></title></script><script>xss()</script><img src=x onerror=xss()>"
    "\"' autofocus onfocus='xss()' x=\"<svg onload=xss()>{{7*7}}{% x %}<%=7*7%>javascript:xss()"
)
"""Becomes markup in every place that lets it, and calls `xss` there."""

SHORT = "'\"><img src=x onerror=xss()>{{7*7}}"
"""The same where there is less room."""

UNSEEN = "\u202egnp.exe \u200b\x1b[31m"
SEEN = "\\u202egnp.exe \\u200b\\"
"""What turns the text around or has no shape, and the beginning of what is read instead."""

E = "/e/default"

QUERY = "x='onfocus=xss()"
"""As much of it as a URL may have."""

COLLEAGUE = f"{'k' * 50}.im@shop"
"""As long as the name of an account may be, nearly."""

QUEUE = f"long-{'name' * 20}"
LONG = "unbroken" * 8

NO_PAGES = {
    *(name for name in ROUTES if name.startswith("GET /rq/0/data/")),
    *(f"GET {path}" for path in BACK),
    *("GET /static/<filename>", "GET ", "GET /", "GET E", "GET E/"),
}
"""Routes that answer JSON, a file, or lead to another page."""

PAGES = sorted(
    name for name in {*ROUTES, *OPEN} if name.startswith("GET ") and name not in NO_PAGES
)
"""The names of all routes with a page; tests/api/admin/test_guard.py holds them against the app."""


@dataclass(frozen=True)
class Sample:
    """An address of a page below /admin, and texts of others that are to be read there."""

    path: str
    shows: Sequence[str] = ()
    status: int = 200


class World:
    """Makes all objects, by the API and real deliveries; `pages` has a sample of each route."""

    def __init__(self, stage: PanelStage) -> None:
        self.stage = stage
        reply = Reply(500, f"{EVIL}{UNSEEN}".encode(), "text/html; x='<b>'")
        stage.hook.replies[f"/evil?{QUERY}"] = reply
        self.waiting = self.push(payload={EVIL: UNSEEN}, delay=3_600_000, key=f"{EVIL}2{LONG}")
        failed = self.push(payload=EVIL + UNSEEN, contentType="text/html", key=EVIL)
        running = self.push("/hold/world", payload=[SHORT], timeout=600_000)
        self.schedule = self._schedule()
        self.ended, self.going_on = self._executions()
        self._change_settings()
        self.rq_job = self._rq_job()
        stage.until_state(failed, "FAILED")
        stage.until_state(running, "RUNNING")
        self.entry = str(stage.api("GET", f"/items/{failed}").json()["entry"])
        stage.administration.create_environment("empty", "test")
        stage.account(COLLEAGUE, {})

    def pages(self) -> Mapping[str, Sample]:
        """Return a page for the name of each route."""
        queue, entry = QUEUE, self.entry
        listed = f"/rq/0/view/jobs/{quote(SHORT)}/queued/20/asc/1"
        found = {
            "E/overview": Sample(f"{E}/overview", [queue, EVIL[:40]]),
            "E/queues": Sample(f"{E}/queues", [queue]),
            "E/queues/<queue:queue>": Sample(f"{E}/queues/{queue}", [queue]),
            "E/queue-settings/<queue:queue>": Sample(f"{E}/queue-settings/{queue}"),
            "E/queues/<queue:queue>/items": Sample(f"{E}/queues/{queue}/items", [EVIL[:60]]),
            "E/queues/<queue:queue>/history": Sample(f"{E}/queues/{queue}/history", [EVIL[:60]]),
            "E/queues/<queue:queue>/history/<entry>": Sample(
                f"{E}/queues/{queue}/history/{entry}", [EVIL, SEEN, SHORT]
            ),
            "E/items/<item_id>": Sample(f"{E}/items/{self.waiting}", [EVIL, SEEN, SHORT]),
            "E/items/<item_id>/edit": Sample(f"{E}/items/{self.waiting}/edit", [EVIL[:60]]),
            "E/search": Sample(f"{E}/search?q={quote(EVIL)}!", [f"{EVIL}!"]),
            "E/settings": Sample(f"{E}/settings", [SHORT]),
            "E/audit": Sample(f"{E}/audit"),
            "E/schedules": Sample(f"{E}/schedules?schedule={quote(EVIL)}", [EVIL[:60]]),
            "E/schedules/<schedule_id>": Sample(f"{E}/schedules/{self.schedule}", [EVIL, SEEN]),
            "E/services": Sample(f"{E}/services", [SERVICE]),
            "E/services/<service>/<job>": Sample(f"{E}/services/{SERVICE}/daily", [EVIL[:60]]),
            "E/executions/<name>": Sample(f"{E}/executions/{self.ended}", [EVIL, SEEN]),
            "/account": Sample("/account"),
            "/accounts": Sample("/accounts", [COLLEAGUE]),
            "/accounts/<account>": Sample(f"/accounts/{COLLEAGUE}", [COLLEAGUE]),
            "/environments": Sample("/environments"),
            "/prove": Sample(f"/prove?next={quote('javascript:xss()')}"),
            "/sign-in": Sample(f"/sign-in?next={quote('//evil.example')}"),
            "/first": Sample(f"/first?link={quote(EVIL)}", status=404),
            "/<path:rest>": Sample(f"/{quote(EVIL, safe='')}", status=404),
            "/rq": Sample("/rq", ["lambdaqueue"]),
            "/rq/": Sample("/rq/", ["lambdaqueue"]),
            "/rq/0/view/queues": Sample("/rq/0/view/queues", ["lambdaqueue"]),
            "/rq/0/view/workers": Sample("/rq/0/view/workers", ["lambdaqueue"]),
            "/rq/0/view/jobs": Sample("/rq/0/view/jobs"),
            "/rq/0/view/jobs/<queue_name>/<registry_name>/<per_page>/<order>/<page>": Sample(
                listed, [SHORT]
            ),
            "/rq/0/view/job/<job_id>": Sample(f"/rq/0/view/job/{self.rq_job}", [SHORT]),
        }
        return {f"GET {name}": sample for name, sample in found.items()}

    def push(self, path: str = "/evil", **more: Any) -> str:
        """Push an item with markup in all its fields; return its id."""
        fields = {"headers": {"x-note": SHORT}, "eventType": SHORT, "flowKey": SHORT, **more}
        retry = {"type": "constant", "delay": 1, "retries": 0}
        return self.stage.item(f"{path}?{QUERY}", QUEUE, retry=retry, **fields)

    def _schedule(self) -> str:
        stage = self.stage
        fields = {
            "queue": QUEUE,
            "schedule": "@daily",
            "target": stage.hook.url(f"/evil?{QUERY}"),
            "payload": EVIL + UNSEEN,
            "headers": {"x-note": SHORT},
        }
        made = stage.api("PUT", f"/schedules/byKey/{quote(EVIL)}", **fields)
        assert made.ok, made.text
        found = str(made.json()["id"])
        assert stage.api("POST", f"/schedules/{found}/run").ok
        return found

    def _executions(self) -> tuple[str, str]:
        """Let one execution end badly, and one go on."""
        stage = self.stage
        # The one that goes on is still there when the last page was looked at.
        stage.define("/service", payload=EVIL + UNSEEN, ttl=3_600, heartbeat=3_600)
        ended, going_on = stage.run(), stage.run()
        call_back(stage, ended, status="fail", summary=EVIL, error={EVIL: UNSEEN},
                  correlation_id=SHORT)  # fmt: skip
        call_back(stage, going_on, status="processing", progress=40)
        return ended, going_on

    def _change_settings(self) -> None:
        stage = self.stage
        administration = stage.administration
        administration.issue_token(ACTOR, SHORT, ALL_SCOPES, None)
        administration._environments.note(ACTOR, SHORT, EVIL)
        url = stage.hook.url(f"/alerts?{QUERY}")
        changes = {"target": url, "onFailure": {"target": url, "queue": "alerts"}}
        assert stage.api("PUT", f"/queues/{QUEUE}", **changes).ok

    def _rq_job(self) -> str:
        """Let somebody else have a job in the same Redis."""
        with redis.Redis.from_url(self.stage.redis.url) as client:
            return str(Queue(SHORT, client).enqueue("nobody.knows", description=EVIL).id)


def call_back(stage: PanelStage, name: str, **body: Any) -> None:
    """Call back as the service does."""
    url = callback_url(stage.until_invoked(name))
    assert requests.post(url, json=body, timeout=20).ok
