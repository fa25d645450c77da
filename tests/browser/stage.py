"""What a browser finds: a Redis, an endpoint, and web, worker and scheduler as real processes."""

from __future__ import annotations

import re
from typing import Any

from lambdaqueue.account import Role
from lambdaqueue.identity import Author
from lambdaqueue.signing_in import SigningIn
from tests.waiting import until
from tests.workers.hook import Delivery
from tests.workers.service_stage import ServiceStage

__all__ = ["NAME", "PASSWORD", "PanelStage"]

NAME = "ada"
PASSWORD = "correct horse battery"

LINK = re.compile(r"http://[\d.]+:\d+/admin/first\?link=[\w-]{43}")


class PanelStage(ServiceStage):
    """All processes of the Procfile run, until the end of the package's tests."""

    def open(self) -> None:
        """Start everything, the web server first: it prints the link to the first account."""
        self.server = self.web()
        self.worker()
        self.scheduler()
        until(lambda: LINK.search(self.server.text), "the link to the first account")
        found = LINK.search(self.server.text)
        assert found is not None
        self.link = found[0]

    def url(self, path: str = "") -> str:
        """Return the address of a page of the environment `default`."""
        return f"{self.origin}/admin/e/default{path}"

    def account(self, name: str, roles: dict[str, Role]) -> None:
        """Make an account with `PASSWORD`."""
        SigningIn(self.client).create(Author("test"), name, PASSWORD, roles)

    def item(self, path: str = "/", queue: str = "mail", **more: Any) -> str:
        """Push an item to `path` of the endpoint by the API's batch; return its id."""
        wanted = {"target": self.hook.url(path), "payload": {"to": "ada"}, **more}
        answer = self.api("POST", f"/queues/{queue}/items/batch", items=[wanted])
        assert answer.status_code == 201, answer.text
        return str(answer.json()["items"][0]["id"])

    def state(self, item_id: str) -> str:
        """Return an item's state by the API."""
        return str(self.api("GET", f"/items/{item_id}").json()["state"])

    def until_state(self, item_id: str, state: str) -> None:
        """Wait until an item has a state."""
        until(lambda: self.state(item_id) == state, f"{item_id} is {state}")

    def came(self, path: str) -> list[Delivery]:
        """Return what the endpoint got at `path`."""
        return self.hook.to(path)
