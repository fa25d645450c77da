"""Every form of the panel that changes something is told of by the script that changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from flask import Flask

from lambdaqueue import keys
from lambdaqueue.account import EVERYWHERE, Role
from tests.api.admin.conftest import PASSWORD, Page, Panel
from tests.api.admin.routes import OPEN, ROUTES
from tests.api.admin.work import HOME, ended, item
from tests.api.conftest import TARGET, Api, parts_of
from tests.api.service_calls import define, run
from tests.api.steps import Told, idle, silent, told, watched

NEW = {"new": "another password", "repeated": "another password"}
LOOKS = {"secret.read", "account.sign_out"}
"""What is told of though nothing changes, or only a session."""


@dataclass(frozen=True)
class Form:
    """What to send where, by whose browser, and the action and object that the audit is to name.

    `{…}` stands for one of the objects that `objects_of` makes.
    """

    path: str
    entries: tuple[Told, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    by: str = "jan"


def one(path: str, action: str, thing: str, **fields: str) -> Form:
    return Form(path, ((action, thing),), fields)


# In this order: the first account is made first, and tokens and queues that are used go last.
FORMS: Mapping[str, Form] = {
    "POST /first": Form(
        "/first",
        (("account.create", "jan"), ("account.sign_in", "jan")),
        {"link": "{link}", "name": "jan", "password": PASSWORD, "repeated": PASSWORD},
        by="guest",
    ),
    "POST /sign-in": Form(
        "/sign-in", (("account.sign_in", "jan"),), {"name": "jan", "password": PASSWORD}, by="guest"
    ),
    "POST /prove": Form("/prove", (), {"password": PASSWORD}),
    "POST /sign-out": Form("/sign-out", (("account.sign_out", "eva"),), by="eva"),
    "POST /account/password": Form(
        "/account/password",
        (("account.password", "kim"), ("account.sign_in", "kim")),
        NEW,
        by="kim",
    ),
    "POST /account/sign-out-everywhere": Form(
        "/account/sign-out-everywhere", (("account.sign_out_everywhere", "lou"),), by="lou"
    ),
    "POST /accounts": one(
        "/accounts", "account.create", "mia", name="mia", role="viewer", place=EVERYWHERE, **NEW
    ),
    "POST /accounts/<account>/role": one(
        "/accounts/mia/role",
        "account.role",
        "mia: admin everywhere",
        place=EVERYWHERE,
        role="admin",
    ),
    "POST /accounts/<account>/password": one(
        "/accounts/mia/password", "account.password", "mia", **NEW
    ),
    "POST /accounts/<account>/remove": one("/accounts/mia/remove", "account.delete", "mia"),
    "POST E/queues/<queue:queue>/pause": one("E/queues/mail/pause", "queue.pause", "mail"),
    "POST E/queues/<queue:queue>/resume": one("E/queues/mail/resume", "queue.resume", "mail"),
    "POST E/queue-settings/<queue:queue>": one(
        "E/queue-settings/mail", "queue.update", "mail", timeout="5000"
    ),
    "POST E/queues/<queue:queue>/purge": one(
        "E/queues/purged/purge", "queue.purge", "purged waiting", state="all"
    ),
    "POST E/queue-drop/<queue:queue>": one("E/queue-drop/dropped", "queue.delete", "dropped"),
    "POST E/queues/<queue:queue>/history/<entry>/replay": one(
        "E/queues/old/history/{entry}/replay", "queue.replay", "old {entry}"
    ),
    "POST E/queues/<queue:queue>/history/replay": one(
        "E/queues/old/history/replay", "queue.replay", "old FAILED", state="FAILED"
    ),
    "POST E/items/<item_id>/run": one("E/items/{run}/run", "item.run", "mail {run}"),
    "POST E/items/<item_id>/cancel": one("E/items/{cancel}/cancel", "item.cancel", "mail {cancel}"),
    "POST E/items/<item_id>/edit": one(
        "E/items/{edit}/edit", "item.change", "mail {edit}", version="1", priority="7"
    ),
    "POST E/schedules/<schedule_id>/pause": one(
        "E/schedules/{nightly}/pause", "schedule.pause", "nightly"
    ),
    "POST E/schedules/<schedule_id>/resume": one(
        "E/schedules/{nightly}/resume", "schedule.resume", "nightly"
    ),
    "POST E/schedules/<schedule_id>/run": one(
        "E/schedules/{nightly}/run", "schedule.run", "nightly"
    ),
    "POST E/schedules/<schedule_id>/remove": one(
        "E/schedules/{nightly}/remove", "schedule.remove", "nightly"
    ),
    "POST E/services/<service>/<job>/run": one(
        "E/services/billing/close-month/run", "service.run", "billing/close-month"
    ),
    "POST E/services/<service>/<job>/test": one(
        "E/services/billing/close-month/test", "service.test", "billing/close-month"
    ),
    "POST E/executions/<name>/cancel": one(
        "E/executions/{running}/cancel", "execution.cancel", "{running}"
    ),
    "POST E/executions/<name>/retry": one("E/executions/{over}/retry", "execution.retry", "{over}"),
    "POST E/settings/retry": one(
        "E/settings/retry", "environment.update", "default", **{"retry.type": "linear"}
    ),
    "POST E/settings/tokens": one(
        "E/settings/tokens", "token.create", "billing", name="billing", scope="push"
    ),
    "POST E/settings/tokens/<token_id>/revoke": one(
        "E/settings/tokens/{token}/revoke", "token.revoke", "mine"
    ),
    "POST E/settings/secret": one("E/settings/secret", "secret.read", "secret"),
    "POST E/settings/secret/rotate": one(
        "E/settings/secret/rotate", "secret.rotate", "default", hours="1"
    ),
}


def test_every_form_is_in_the_table() -> None:
    forms = {name for name in ROUTES.keys() | OPEN if name.startswith("POST ")}
    assert forms - {"POST /<path:rest>"} == FORMS.keys()


def objects_of(app: Flask, api: Api) -> Mapping[str, str]:
    """Make what the forms are about, and an offer of the first account."""
    link = parts_of(app).administration.signing_in().offer(again=True)
    _, entry = ended(api, app, "old")
    wanted = {"queue": "mail", "schedule": "0 4 * * *", "target": TARGET}
    schedule = api("PUT", "/schedules/byKey/nightly", json=wanted).json or {}
    token = api("POST", "/tokens", json={"name": "mine", "scopes": ["push"]}).json or {}
    item(api, "purged", delay="600000")
    api("PUT", "/queues/dropped", json={})
    define(api)
    over = run(api)
    api("POST", f"/executions/{over}/cancel")
    return {
        "link": link or "",
        "entry": entry,
        "nightly": schedule["id"],
        "token": token["id"],
        "over": over,
        "running": run(api),
        **{name: item(api, delay="600000") for name in ("run", "cancel", "edit")},
    }


class Browsers:
    """One for each account that is named, signed in; `guest` is nobody's."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._panels: dict[str, Panel] = {}

    def __getitem__(self, name: str) -> Panel:
        if name == "guest":
            return Panel(self.app)
        if name not in self._panels:
            self._panels[name] = self._made(name)
        return self._panels[name]

    def _made(self, name: str) -> Panel:
        if name != "jan":
            return Panel(self.app).as_(name, {EVERYWHERE: Role.VIEWER})
        panel = Panel(self.app)
        assert panel.sign_in(name).status == 303
        return panel


def send(browser: Panel, form: Form, objects: Mapping[str, str]) -> Page:
    path = form.path.replace("E/", f"{HOME}/", 1) if form.path.startswith("E/") else form.path
    fields = {name: text.format(**objects) for name, text in form.fields.items()}
    return browser.post(path.format(**objects), fields, None)


def test_every_change_has_its_entry(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the script that makes it, once."""
    objects, browsers = objects_of(app, api), Browsers(app)
    for name, form in FORMS.items():
        browser = browsers[form.by]
        if form.by == "guest":
            query = f"?link={objects['link']}" if name == "POST /first" else ""
            browser.csrf = browser.get(f"{form.path}{query}").inputs["csrf"]
        with watched(monkeypatch, app, keys.DEFAULT_ENVIRONMENT) as steps:
            page = send(browser, form, objects)
        assert page.status in (200, 303), (name, page.text)
        assert told(steps) == [(action, thing.format(**objects)) for action, thing in form.entries]
        assert silent(steps) == [], name
        assert idle(steps) <= LOOKS, name
