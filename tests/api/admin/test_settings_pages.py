"""Settings with tokens and secret, the audit, the environments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
import redis
from flask import Flask

from lambdaqueue import keys
from lambdaqueue.account import Role
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.identity import Actor
from tests.api.admin.conftest import NASTY, PASSWORD, Page, Panel
from tests.api.admin.work import HOME, item
from tests.api.conftest import Api, Tenant, parts_of

SETTINGS = f"{HOME}/settings"
TOKENS = f"{SETTINGS}/tokens"

Visitor = Callable[[Mapping[str, Role]], Panel]


def actions(app: Flask) -> list[tuple[str, str]]:
    rows = parts_of(app).administration.audit(keys.DEFAULT_ENVIRONMENT, 50, None).rows
    return [(each.token, each.action) for each in rows]


def token_in(page: Page) -> str:
    found = re.search(r"lqk_[\w-]{8}_[\w-]{43}", page.text)
    assert found
    return found[0]


def age(redis_url: str) -> None:
    """Let all passwords have been given long ago."""
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter("lq:session:*"):
            client.hset(key, "proved", 1)


class TestTokens:
    def test_made_used_and_revoked(self, panel: Panel, app: Flask) -> None:
        fields = {"name": "billing", "scope": ["push", "read"], "days": "30"}
        page = panel.post(TOKENS, fields, 200)
        token = token_in(page)
        assert page.shows("it is shown this once")
        assert Api(app, token).push().status_code == 201
        assert Api(app, token)("GET", "/tokens").status_code == 403, "no scope to manage"
        page = panel.get(SETTINGS)
        assert token not in page.text
        assert page.shows("billing")
        assert page.shows("push, read")
        _, _, billing = page.text.partition(">billing<")
        used, made, *_ = re.findall(r'datetime="([^"]+)"', billing)
        assert used >= made, "though the use is only kept to the minute"
        revoke = next(form for form in page.forms if token[4:12] in form)
        done = panel.post(revoke.removeprefix("/admin"))
        assert panel.follow(done).flash == "The token is of no use any more."
        assert revoke not in panel.get(SETTINGS).forms
        assert ("jan", "token.create") in actions(app)

    @pytest.mark.parametrize(
        ("fields", "issue"),
        [
            ({"name": "", "scope": ["push"]}, "name"),
            ({"name": "x" * 65, "scope": ["push"]}, "name"),
            ({"name": "a\u202eb", "scope": ["push"]}, "name"),
            ({"name": "x"}, "at least one scope"),
            ({"name": "x", "scope": ["root"]}, "must be one of"),
            ({"name": "x", "scope": ["push"], "days": "0"}, "days"),
            ({"name": "x", "scope": ["push"], "days": "<b>"}, "days"),
        ],
    )
    def test_bad_ones(self, panel: Panel, fields: dict[str, object], issue: str) -> None:
        before = len(parts_of(panel.app).administration.tokens("1", 9, None).rows)
        page = panel.post(TOKENS, fields, 422)
        assert f'id="issue-{issue}"' in page.text or page.shows(issue)
        assert len(parts_of(panel.app).administration.tokens("1", 9, None).rows) == before

    def test_a_name_twice(self, panel: Panel) -> None:
        panel.post(TOKENS, {"name": "x", "scope": ["push"]}, 200)
        panel.post(TOKENS, {"name": "x", "scope": ["push"]}, 409)
        panel.post(f"{TOKENS}/absent/revoke", status=404)

    def test_nasty_names_are_text(self, panel: Panel) -> None:
        names = [text for text in NASTY if text.isprintable()]
        for name in names:
            panel.post(TOKENS, {"name": name, "scope": ["read"]}, 200)
        page = panel.get(SETTINGS)
        assert all(page.shows(name) for name in names)
        audit = panel.get(f"{HOME}/audit")
        assert "<script>alert" not in page.text + audit.text


class TestSecret:
    def test_show_and_rotate(self, panel: Panel, app: Flask) -> None:
        assert "whsec_" not in panel.get(SETTINGS).text
        old = re.findall(r"whsec_[\w+/=-]+", panel.post(f"{SETTINGS}/secret", {}, 200).text)[0]
        page = panel.post(f"{SETTINGS}/secret/rotate", {"hours": "1"}, 200)
        new, previous = dict.fromkeys(re.findall(r"whsec_[\w+/=-]+", page.text))
        assert new != previous == old
        assert panel.post(f"{SETTINGS}/secret/rotate", {"hours": "1"}, 409).shows("overlap")
        page = panel.post(f"{SETTINGS}/secret/rotate", {"hours": "0"}, 200)
        assert old not in page.text
        assert ("jan", "secret.read") in actions(app)

    @pytest.mark.parametrize("hours", ["-1", "169", "x"])
    def test_bad_hours(self, panel: Panel, hours: str) -> None:
        panel.post(f"{SETTINGS}/secret/rotate", {"hours": hours}, 422)

    def test_the_password_once_more(self, panel: Panel, viewer: Panel, redis_url: str) -> None:
        age(redis_url)
        page = panel.get(SETTINGS)
        ids = [given["id"] for _, given in page.tags if "id" in given]
        assert len(ids) == len(set(ids))
        for path in ("secret", "secret/rotate", "tokens", "tokens/x/revoke"):
            assert "/admin/prove" in panel.post(f"{SETTINGS}/{path}").location, path
            viewer.post(f"{SETTINGS}/{path}", status=403)
        wrong = panel.post(f"{SETTINGS}/secret", {"password": "wrong password"}, 403)
        assert "whsec_" not in wrong.text
        assert "whsec_" in panel.post(f"{SETTINGS}/secret", {"password": PASSWORD}, 200).text

    def test_a_viewer_sees_neither(self, viewer: Panel, panel: Panel) -> None:
        panel.post(TOKENS, {"name": "billing", "scope": ["push"]}, 200)
        page = viewer.get(SETTINGS)
        assert page.shows("for admins")
        assert "billing" not in page.text
        viewer.get(f"{HOME}/audit", 403)


def test_retry_policy(panel: Panel, api: Api) -> None:
    path = f"{SETTINGS}/retry"
    panel.post(path, {"retry.type": "linear", "retry.delay": "5000"})
    assert api("GET", "/environment").json["retry"]["type"] == "linear"  # type: ignore[index]
    page = panel.post(path, {"retry.type": "linear", "retry.delay": "-1"}, 422)
    assert 'id="issue-retry.delay"' in page.text
    panel.post(path, {})
    assert panel.get(SETTINGS).inputs["retry.delay"] == ""


def test_audit(panel: Panel, app: Flask, api: Api) -> None:
    item(api)
    store = EnvironmentStore(parts_of(app).client)
    for number in range(103):
        store.note(Actor("1", f"who{number}", "::1"), "a.b", "<b>x</b>")
    page = panel.get(f"{HOME}/audit")
    assert page.shows("who102")
    assert page.shows("<b>x</b>")
    assert not page.shows("who2 ")
    (link,) = [link for link in page.links if "cursor=" in link]
    last = panel.get(link.removeprefix("/admin"))
    assert last.shows("who2")
    assert last.shows("First page")
    assert panel.get(f"{HOME}/audit?cursor=1-0").shows("No older entries")
    for cursor in ("x", "", "0-0", "%3Cb%3E"):
        panel.get(f"{HOME}/audit?cursor={cursor}", 422)


def test_the_audit_leads_to_what_it_is_about(panel: Panel, visitor: Visitor, app: Flask) -> None:
    table = {
        ("queue.pause", "mail"): "/queues/mail",
        ("queue.purge", "mail waiting"): "/queues/mail",
        ("queue.delete", "mail"): None,
        ("item.cancel", "mail 0123456789abcd"): "/items/0123456789abcd",
        ("service.run", "billing/close"): "/services/billing/close",
        ("execution.cancel", "0123456789abcd"): "/executions/0123456789abcd",
        ("token.create", "<b>"): "/settings",
        ("secret.read", "secret"): "/settings",
        ("schedule.pause", "a key"): None,
        ("item.cancel", ""): None,
        ("<b>.x", "<b>"): None,
    }
    store = EnvironmentStore(parts_of(app).client)
    for action, thing in table:
        store.note(Actor("1", "jan & co", "::1"), action, thing)
    store.note(Actor("1", "eva", "::1"), "account.role", "kim: viewer in default")
    page = panel.get(f"{HOME}/audit")
    rows = page.text.partition("<tbody>")[2].split("<tr>")[2:]  # the first is of eva
    for row, wanted in zip(rows, reversed(table.values()), strict=False):
        link = (
            f'<td class="text"><a href="/admin{HOME}{wanted}">' if wanted else '<td class="text">'
        )
        assert link in row
        assert wanted or '<td class="text"><a' not in row
    assert "/admin/accounts/kim" in page.links
    elsewhere = visitor({"1": Role.ADMIN})
    assert "/admin/accounts/kim" not in elsewhere.get(f"{HOME}/audit").links
    of_eva = panel.get(f"{HOME}/audit?who=eva")
    assert of_eva.shows("account.role")
    assert not of_eva.shows("queue.pause")
    assert f"/admin{HOME}/audit?who=jan+%26+co" in page.links
    assert panel.get(f"{HOME}/audit?who=nobody").shows("No entry.")


def test_the_entries_of_one_page_by_page(
    panel: Panel, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page looks through so many and no more; none is left out or comes twice."""
    monkeypatch.setattr("api.admin.audited.MOST_LOOKED_AT", 4)
    monkeypatch.setattr("api.admin.audit.ROWS", 2)
    store = EnvironmentStore(parts_of(app).client)
    for number in range(12):
        who = "other" if number in (4, 5, 6, 7) else "rare"
        store.note(Actor("1", who, "::1"), "a.b", f"thing {number}.")
    path, found = f"{HOME}/audit?who=rare", []
    while path:
        page = panel.get(path)
        found += re.findall(r"thing (\d+)\.", page.text)
        nexts = [link for link in page.links if "cursor=" in link]
        path = nexts[0].removeprefix("/admin") if nexts else ""
    assert found == [str(number) for number in (11, 10, 9, 8, 3, 2, 1, 0)]


class TestEnvironments:
    @pytest.mark.parametrize("path", ["/environments", "/environments/default/remove"])
    def test_they_are_made_and_removed_by_command_only(self, panel: Panel, path: str) -> None:
        assert panel.get("/environments").shows("lambdaqueue env create NAME")
        panel.post(path, {"name": "staging", "typed": "default"}, 404)

    def test_only_ones_own_are_listed(
        self, visitor: Visitor, tenant: Callable[[str], Tenant], viewer: Panel
    ) -> None:
        mine = tenant("mine")
        tenant("theirs")
        page = visitor({mine.id: Role.ADMIN}).get("/environments")
        assert page.shows("mine")
        assert "theirs" not in page.text
        assert not [form for form in page.forms if "environments" in form]
        assert viewer.get("/environments").shows("theirs")
