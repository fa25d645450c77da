"""Accounts, as those see them who may change everything."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from flask import Flask

from lambdaqueue import keys
from lambdaqueue.account import EVERYWHERE, Role
from tests.api.admin.conftest import NASTY, PASSWORD, Panel
from tests.api.conftest import Api, parts_of

NEW = "another good password"
FIELDS = {"name": "Kim", "role": "viewer", "place": EVERYWHERE, "new": NEW, "repeated": NEW}


def audited(app: Flask) -> list[tuple[str, str, str]]:
    rows = parts_of(app).administration.audit(keys.DEFAULT_ENVIRONMENT, 50, None).rows
    return [(each.token, each.action, each.object) for each in rows]


def test_made_changed_and_removed(panel: Panel, app: Flask) -> None:
    page = panel.follow(panel.post("/accounts", FIELDS))
    assert page.flash == "kim can sign in now."
    kim = Panel(app)
    assert kim.sign_in("kim", NEW).status == 303
    kim.get("/accounts", 403)
    panel.post("/accounts/kim/role", {"place": EVERYWHERE, "role": "admin"})
    assert kim.get("/accounts").shows("jan")
    # The form shows what kim may do: who presses the button only changes nothing.
    assert '<option value="admin" selected>' in panel.get("/accounts/kim").text
    panel.post("/accounts/kim/role", {"place": EVERYWHERE, "role": "none"})
    assert panel.get("/accounts/kim").shows("nothing, anywhere")
    kim.get("/accounts", 403)
    panel.post("/accounts/kim/password", {"new": PASSWORD, "repeated": PASSWORD})
    assert "/admin/sign-in" in kim.get("/account", 303).location, "its sessions have ended"
    assert kim.sign_in("kim", NEW).status == 403
    assert kim.sign_in("kim", PASSWORD).status == 303
    page = panel.follow(panel.post("/accounts/kim/remove"))
    assert page.flash == "kim is removed."
    assert "/accounts/kim" not in page.text
    assert "/admin/sign-in" in kim.get("/account", 303).location
    changes = [row for row in audited(app) if row[0] == "jan" and row[2].split(":")[0] == "kim"]
    assert [action for _, action, _ in reversed(changes)] == [
        "account.create", "account.role", "account.role", "account.password", "account.delete",
    ]  # fmt: skip


def test_a_role_in_one_environment(panel: Panel, app: Flask, api: Api) -> None:
    panel.post("/accounts", {**FIELDS, "place": keys.DEFAULT_ENVIRONMENT})
    assert panel.get("/accounts").shows("viewer in default")
    chosen = f'<option value="{keys.DEFAULT_ENVIRONMENT}" selected>'
    assert chosen in panel.get("/accounts/kim").text
    kim = Panel(app)
    kim.sign_in("kim", NEW)
    kim.get("/e/default/overview")
    kim.get("/rq", 403)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "<b>"}, "name"),
        ({"name": "jan"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"role": ""}, "role"),
        ({"role": "none"}, "role"),
        ({"role": "root"}, "role"),
        ({"place": ""}, "place"),
        ({"place": "elsewhere"}, "place"),
        ({"new": "short", "repeated": "short"}, "new"),
        ({"new": "x" * 129, "repeated": "x" * 129}, "new"),
        ({"repeated": PASSWORD}, "repeated"),
    ],
)
def test_bad_ones(panel: Panel, fields: Mapping[str, str], field: str) -> None:
    page = panel.post("/accounts", {**FIELDS, **fields}, 422)
    assert f'id="issue-{field}"' in page.text
    assert NEW not in page.text
    assert [each.name for each in parts_of(panel.app).signing_in.accounts()] == ["jan"]


@pytest.mark.parametrize(
    ("form", "fields", "field"),
    [
        ("role", {"place": EVERYWHERE, "role": "root"}, "role"),
        ("role", {"place": "elsewhere", "role": "admin"}, "place"),
        ("password", {"new": "short", "repeated": "short"}, "new"),
        ("password", {"new": NEW, "repeated": PASSWORD}, "repeated"),
    ],
)
def test_bad_changes(panel: Panel, form: str, fields: Mapping[str, str], field: str) -> None:
    panel.post("/accounts", FIELDS)
    page = panel.post(f"/accounts/kim/{form}", fields, 422)
    assert f'id="issue-{field}"' in page.text
    (kim,) = [each for each in parts_of(panel.app).signing_in.accounts() if each.name == "kim"]
    assert kim.roles == {EVERYWHERE: Role.VIEWER}
    assert Panel(panel.app).sign_in("kim", NEW).status == 303


@pytest.mark.parametrize("form", ["role", "password", "remove"])
def test_nobody_locks_themselves_out(panel: Panel, form: str) -> None:
    fields = {"place": EVERYWHERE, "role": "none", "new": NEW, "repeated": NEW}
    assert panel.post(f"/accounts/jan/{form}", fields, 409).shows("your own account")
    assert not [each for each in panel.get("/accounts/jan").forms if "/accounts/jan" in each]
    panel.get("/accounts")


@pytest.mark.parametrize("name", ["absent", *(text for text in NASTY if "/" not in text)])
def test_who_is_not_there(panel: Panel, name: str) -> None:
    panel.get(f"/accounts/{name}", 404)
    panel.post(f"/accounts/{name}/remove", status=404)


def test_who_may_change_one_environment_sees_none(panel: Panel) -> None:
    local = panel.as_("eva", {keys.DEFAULT_ENVIRONMENT: Role.ADMIN})
    assert "/admin/accounts" not in " ".join(local.get("/e/default/overview").links)
    local.get("/accounts", 403)
    local.post("/accounts", FIELDS, 403)
