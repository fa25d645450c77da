"""Signing in: the form, its limits, the cookie, what ends it, where it leads."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote

import pytest
import redis
from flask import Flask

from api import create_app
from lambdaqueue import keys, passwords
from lambdaqueue.account import EVERYWHERE, Role, digest
from lambdaqueue.accounts import FREE_OF_STRANGERS
from lambdaqueue.administration import Administration
from lambdaqueue.config import Settings
from lambdaqueue.identity import Author
from tests.api.admin.conftest import NASTY, ORIGIN, PASSWORD, Page, Panel
from tests.api.conftest import parts_of

WRONG = "The name or the password is wrong."
ADMIN = {EVERYWHERE: Role.ADMIN}


@pytest.fixture
def secure(settings: Settings) -> Iterator[Panel]:
    """A browser at a server that is reached by https."""
    app = create_app(replace(settings, public_url="https://localhost"))
    yield Panel(app)
    parts_of(app).close()


def cookie(page: Page, name: str = "lq") -> str:
    """Return the Set-Cookie of a name, "" without one."""
    found = page.answer.headers.getlist("Set-Cookie")
    return next((each for each in found if each.startswith(f"{name}=")), "")


class TestSigningIn:
    def test_the_form_leads_to_a_session(self, guest: Panel) -> None:
        guest.as_("jan", ADMIN)
        assert guest.get("/account", 303).location == "/admin/sign-in?next=/admin/account"
        page = guest.sign_in(" Jan ")
        assert (page.status, page.location) == (303, "/admin")
        assert guest.get("/account").shows("jan")

    @pytest.mark.parametrize("name", ["jan", "nobody", "", "x" * 5_000, *NASTY])
    def test_wrong_ones_are_all_answered_alike(self, guest: Panel, name: str) -> None:
        guest.as_("jan", ADMIN)
        page = guest.sign_in(name, "wrong password")
        assert page.status == 403
        assert page.shows(WRONG)
        assert not cookie(page)
        # What was typed comes back as a value, and is no markup (Page has looked).
        assert page.inputs["name"] == name
        shown = page.text.replace(page.inputs["csrf"], "")
        if name == "nobody":
            again = guest.sign_in("jan", "wrong password").text
            again = re.sub(r'name="csrf" value="[^"]*"', 'name="csrf" value=""', again)
            assert shown.replace("nobody", "jan") == again

    def test_unknown_names_take_the_same_time(
        self, guest: Panel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """B104: the same work is done for both, with the same parameters."""
        guest.as_("jan", ADMIN)
        computed: list[tuple[int, ...]] = []
        scrypt = passwords._scrypt

        def noting(password: str, salt: bytes, *parameters: int) -> bytes:
            computed.append(parameters)
            return scrypt(password, salt, *parameters)

        monkeypatch.setattr(passwords, "_scrypt", noting)
        for name in ("jan", "nobody"):
            guest.sign_in(name, "wrong password")
        assert len(computed) == 2
        assert computed[0] == computed[1]

    def test_twenty_wrong_ones(self, guest: Panel) -> None:
        """B104."""
        guest.as_("jan", ADMIN)
        statuses = [guest.sign_in("jan", "wrong password").status for _ in range(20)]
        assert statuses == [403] * 6 + [429] * 14
        right = guest.sign_in("jan")
        assert right.status == 429
        assert int(right.answer.headers["Retry-After"]) in (1, 2)
        assert right.shows("Too many attempts. Wait")
        for name in ("eva", "nobody"):  # says nothing of who there is
            others = [guest.sign_in(name, "wrong password").status for _ in range(7)]
            assert others == [403] * 6 + [429]

    @pytest.mark.parametrize("name", ["jan", "nobody"])
    def test_guesses_from_many_addresses(self, guest: Panel, redis_url: str, name: str) -> None:
        """One account can't be guessed at from everywhere, nor locked out where it was used."""
        guest.as_("jan", ADMIN)
        elsewhere = Panel(guest.app)
        statuses = []
        for number in range(FREE_OF_STRANGERS + 2):
            elsewhere.client.environ_base["REMOTE_ADDR"] = f"198.51.100.{number}"
            statuses.append(elsewhere.sign_in(name, "wrong password").status)
        assert statuses == [403] * FREE_OF_STRANGERS + [429] * 2
        refused = elsewhere.sign_in(name)
        assert refused.shows("Too many attempts at this name, from many addresses. Wait 60 min, or")
        assert 3_500 < int(refused.answer.headers["Retry-After"]) <= 3_600
        assert guest.sign_in(name).status == (303 if name == "jan" else 429)
        assert elsewhere.sign_in("eva", "wrong password").status == 403

    def test_the_log_tells_from_where_and_not_what(
        self, guest: Panel, caplog: pytest.LogCaptureFixture
    ) -> None:
        guest.sign_in("password in the name", "wrong password")
        (line,) = (each for each in caplog.text.splitlines() if "sign_in_refused" in each)
        assert "127.0.0.1" in line
        assert "password in the name" not in caplog.text
        assert "wrong password" not in caplog.text

    def test_a_pause_ends(self, guest: Panel, redis_url: str) -> None:
        guest.as_("jan", ADMIN)
        while guest.sign_in("jan", "wrong password").status == 403:
            continue
        with redis.Redis.from_url(redis_url) as client:
            client.hset(keys.sign_in("jan", "127.0.0.1"), "until", int(time.time() * 1_000))
        assert guest.sign_in("jan").status == 303

    @pytest.mark.parametrize("length", [129, 1_000_000])
    def test_a_long_password(
        self, guest: Panel, monkeypatch: pytest.MonkeyPatch, length: int
    ) -> None:
        """B105: nothing is computed from it."""
        monkeypatch.setattr(passwords, "_scrypt", None)
        page = guest.sign_in("jan", "x" * length)
        assert page.status == 422
        assert page.shows("must have at most 128 bytes")

    def test_too_large_a_form(self, guest: Panel) -> None:
        assert guest.sign_in("jan", "x" * 3_000_000).status == 413

    @pytest.mark.parametrize(
        ("kind", "body", "status"),
        [
            ("application/json", b"{}", 415),
            ("multipart/form-data; boundary=x", b"--x--", 415),
            ("application/x-www-form-urlencoded", b"\xff", 400),
            ("application/x-www-form-urlencoded", b"name=%ff", 400),
            ("application/x-www-form-urlencoded", b"a=&" * 2_000, 400),
            ("application/x-www-form-urlencoded", b"", 403),
        ],
    )
    def test_what_is_no_form(self, guest: Panel, kind: str, body: bytes, status: int) -> None:
        page = guest.open(
            "POST", "/sign-in", data=body, headers={"Content-Type": kind, "Origin": ORIGIN}
        )
        assert page.status == status

    def test_who_is_signed_in_goes_on(self, panel: Panel) -> None:
        assert panel.get("/sign-in?next=/admin/account", 303).location == "/admin/account"


class TestNext:
    @pytest.mark.parametrize(
        ("given", "leads"),
        [
            ("/admin/account", "/admin/account"),
            ("/admin", "/admin"),
            ("/admin?a=b", "/admin?a=b"),
            ("/admin/e/default/queues/a%2Fb?x=1&y=%3F", "/admin/e/default/queues/a%2Fb?x=1&y=%3F"),
            ("", "/admin"),
            ("//evil.example/", "/admin"),
            ("https:evil.example", "/admin"),
            ("https://evil.example/admin/", "/admin"),
            ("/\\evil.example", "/admin"),
            ("/admin\\@evil.example", "/admin"),
            ("/admin.evil.example", "/admin"),
            ("/adminx", "/admin"),
            ("/admin/../evil", "/admin"),
            ("/admin/%2e%2E/evil", "/admin"),
            ("/admin/.%2e//evil", "/admin"),
            ("\t//evil.example", "/admin"),
            ("/\t/evil.example", "/admin"),
            ("/admin/\r\nSet-Cookie: a=b", "/admin"),
            ("javascript:alert(1)", "/admin"),
            ("/api/v1/queues", "/admin"),
            ("@evil.example/admin", "/admin"),
            ("\u2044/evil", "/admin"),
        ],
    )
    def test_only_paths_of_the_panel(self, guest: Panel, given: str, leads: str) -> None:
        """B99, in the form and in the address."""
        guest.as_("jan", ADMIN)
        shown = guest.get(f"/sign-in?next={quote(given, safe='')}")
        assert shown.inputs["next"] == leads
        guest.csrf = shown.inputs["csrf"]
        page = guest.post("/sign-in", {"name": "jan", "password": PASSWORD, "next": given})
        assert page.location == leads
        signed_in = guest.get(f"/sign-in?next={quote(given, safe='')}", 303)
        assert signed_in.location == leads

    def test_a_page_is_come_back_to_as_it_was_asked_for(self, guest: Panel) -> None:
        guest.as_("jan", ADMIN)
        before = guest.get("/account?q=a%26b%3D", 303)
        page = guest.follow(before)
        assert page.inputs["next"] == "/admin/account?q=a%26b%3D"

    def test_after_a_form_it_s_the_page_that_it_is_on(self, guest: Panel) -> None:
        page = guest.open(
            "POST",
            "/sign-out",
            headers={"Origin": ORIGIN, "Referer": f"{ORIGIN}/admin/account?x=1"},
        )
        assert page.location == "/admin/sign-in?next=/admin/account?x%3D1"


class TestCookie:
    def test_by_http(self, guest: Panel) -> None:
        guest.as_("jan", ADMIN)
        name, *rest = cookie(guest.sign_in("jan")).split("; ")
        assert re.fullmatch(r"lq=[\w-]{43}", name)
        assert sorted(rest) == ["HttpOnly", "Path=/", "SameSite=Lax"]

    def test_by_https(self, secure: Panel) -> None:
        headers = {"Origin": "https://localhost", "Host": "localhost"}
        parts_of(secure.app).signing_in.create(Author("t"), "jan", PASSWORD, ADMIN)
        shown = secure.open("GET", "/sign-in", base_url="https://localhost")
        assert cookie(shown, "__Host-lq-form").endswith("Secure; HttpOnly; Path=/; SameSite=Lax")
        fields = {"csrf": shown.inputs["csrf"], "name": "jan", "password": PASSWORD}
        page = secure.open(
            "POST", "/sign-in", base_url="https://localhost", data=fields, headers=headers
        )
        name, *rest = cookie(page, "__Host-lq").split("; ")
        assert re.fullmatch(r"__Host-lq=[\w-]{43}", name)
        assert sorted(rest) == ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]
        assert secure.open("GET", "/account", base_url="https://localhost").status == 200
        # One without the prefix, which a neighbour could have set, is none.
        secret = name.partition("=")[2]
        other = Panel(secure.app)
        other.client.set_cookie("lq", secret, secure=False)
        other.get("/account", 303)

    def test_only_its_hash_is_stored(self, guest: Panel, redis_url: str) -> None:
        guest.as_("jan", ADMIN)
        secret = cookie(guest.sign_in("jan")).partition(";")[0].removeprefix("lq=")
        with redis.Redis.from_url(redis_url) as client:
            assert client.exists(keys.session(digest(secret)))
            stored = b"".join(key + (client.dump(key) or b"") for key in client.scan_iter("*"))
        assert secret.encode() not in stored
        assert PASSWORD.encode() not in stored

    @pytest.mark.parametrize(
        "change",
        [
            lambda secret: secret[:-1] + ("A" if secret[-1] != "A" else "B"),
            lambda secret: "",
            lambda secret: "x" * 4_000,
            lambda secret: digest(secret),
            lambda secret: secret + " ",
        ],
    )
    def test_an_altered_one(self, panel: Panel, change: Callable[[str], str]) -> None:
        """B106."""
        found = panel.client.get_cookie("lq")
        assert found is not None
        panel.client.set_cookie("lq", change(found.value))
        page = panel.get("/account", 303)
        assert page.location.startswith("/admin/sign-in")
        assert "lq=;" in cookie(page)


class TestTheEnd:
    def test_sign_out(self, panel: Panel) -> None:
        found = panel.client.get_cookie("lq")
        assert found is not None
        page = panel.post("/sign-out")
        assert "lq=;" in cookie(page)
        assert panel.follow(page).flash == "You are signed out."
        panel.client.set_cookie("lq", found.value)
        panel.get("/account", 303)

    def test_signing_in_again(self, panel: Panel) -> None:
        """By a form that was open still: the cookie that is replaced is of no use from then on."""
        found = panel.client.get_cookie("lq")
        assert found is not None
        page = panel.post("/sign-in", {"name": "jan", "password": PASSWORD})
        assert cookie(page)
        panel.get("/account")
        panel.client.set_cookie("lq", found.value)
        panel.get("/account", 303)

    def test_sign_out_everywhere(self, panel: Panel) -> None:
        other = Panel(panel.app)
        other.sign_in("jan")
        panel.post("/account/sign-out-everywhere")
        for each in (panel, other):
            each.get("/account", 303)

    def test_idle(self, panel: Panel, redis_url: str) -> None:
        found = panel.client.get_cookie("lq")
        assert found is not None
        with redis.Redis.from_url(redis_url) as client:
            client.hincrby(keys.session(digest(found.value)), "seen", -3_600_000)
        panel.get("/account", 303)

    def test_a_removed_account(self, panel: Panel, administration: Administration) -> None:
        administration.signing_in().remove(Author("test"), "jan")
        panel.get("/account", 303)
        assert panel.sign_in("jan").status == 403

    def test_another_password(self, panel: Panel) -> None:
        """B106: also of the session that has changed it, which goes on under another secret."""
        other = Panel(panel.app)
        other.sign_in("jan")
        before = panel.client.get_cookie("lq")
        assert before is not None
        fields = {"new": "another password", "repeated": "another password"}
        page = panel.follow(panel.post("/account/password", fields))
        assert page.flash == "The password is changed; all other sessions have ended."
        other.get("/account", 303)
        panel.client.set_cookie("lq", before.value)
        panel.get("/account", 303)
        assert panel.sign_in("jan").status == 403
        assert panel.sign_in("jan", "another password").status == 303

    @pytest.mark.parametrize(
        ("fields", "issue"),
        [
            ({"new": "short", "repeated": "short"}, "must have at least 10 bytes"),
            ({"new": "x" * 129, "repeated": "x" * 129}, "must have at most 128 bytes"),
            ({"new": "x" * 20, "repeated": "y" * 20}, "is not the same password"),
            ({}, "must have at least 10 bytes"),
        ],
    )
    def test_what_can_t_be_one(self, panel: Panel, fields: Mapping[str, str], issue: str) -> None:
        assert panel.post("/account/password", fields, 422).shows(issue)
        panel.get("/account")


class TestAudit:
    def test_all_that_an_account_does(self, guest: Panel, administration: Administration) -> None:
        panel = guest.as_("jan", ADMIN)
        fields = {"new": "another password", "repeated": "another password"}
        panel.post("/account/password", fields)
        panel.csrf = panel.get("/account").inputs["csrf"]
        panel.post("/account/sign-out-everywhere")
        panel.sign_in("jan", "another password")
        panel.post("/sign-out")
        rows = administration.audit("1", 100, None).rows
        found = [(row.token, row.action, row.object, row.address) for row in reversed(rows)]
        actions = [
            "sign_in", "password", "sign_in", "sign_out_everywhere", "sign_in", "sign_out",
        ]  # fmt: skip
        expected = [("jan", f"account.{action}", "jan", "127.0.0.1") for action in actions]
        assert found[-len(expected) :] == expected


class TestTheFirstAccount:
    @pytest.fixture
    def link(self, app: Flask, redis_url: str) -> str:
        secret = parts_of(app).administration.signing_in().offer(again=True)
        assert secret is not None
        return secret

    def test_it_makes_an_account_that_may_do_everything(self, guest: Panel, link: str) -> None:
        shown = guest.get(f"/first?link={link}")
        guest.csrf = shown.inputs["csrf"]
        fields = {"link": link, "name": "Jan", "password": PASSWORD, "repeated": PASSWORD}
        page = guest.post("/first", fields)
        assert page.location == "/admin"
        assert guest.get("/account").shows("admin")
        other = Panel(guest.app)
        assert other.get(f"/first?link={link}", 404).shows("This link is used up or too old.")
        other.csrf = other.get("/sign-in").inputs["csrf"]
        other.post("/first", {**fields, "name": "eva"}, 404)
        assert other.sign_in("jan").status == 303

    @pytest.mark.parametrize("link", ["", "x", "A" * 43, "é", "x" * 5_000])
    def test_another_link(self, guest: Panel, link: str) -> None:
        guest.get(f"/first?link={quote(link)}", 404)

    @pytest.mark.parametrize(
        ("fields", "issue"),
        [
            ({"name": "<b>"}, "must be 1 to 64 of a-z"),
            ({"password": "short", "repeated": "short"}, "must have at least 10 bytes"),
            ({"repeated": "other"}, "is not the same password"),
        ],
    )
    def test_what_is_wrong_stands_beside_the_field(
        self, guest: Panel, link: str, fields: Mapping[str, str], issue: str
    ) -> None:
        guest.csrf = guest.get(f"/first?link={link}").inputs["csrf"]
        usual = {"link": link, "name": "jan", "password": PASSWORD, "repeated": PASSWORD}
        (action,) = guest.get(f"/first?link={link}").forms
        page = guest.post(action.removeprefix("/admin"), {**usual, **fields}, 422)
        assert page.shows(issue)
        guest.get(action.removeprefix("/admin"))  # its address may be loaded anew
        assert page.inputs["name"] == fields.get("name", "jan")
        guest.post("/first", usual)

    def test_an_account_of_the_command_ends_it(self, guest: Panel, link: str) -> None:
        guest.as_("eva", ADMIN)
        guest.get(f"/first?link={link}", 404)

    def test_the_first_start_tells_it_once(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        apps = [create_app(settings) for _ in range(2)]
        found = re.findall(r"http://127\.0\.0\.1:8080/admin/first\?link=([\w-]{43})", caplog.text)
        assert len(found) == 1
        Panel(apps[1]).get(f"/first?link={found[0]}")
        Panel(apps[0]).as_("jan", ADMIN)
        caplog.clear()
        apps.append(create_app(settings))
        assert "no account" not in caplog.text
        for app in apps:
            parts_of(app).close()
