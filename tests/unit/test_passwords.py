"""What may be a password, what is kept of it, and what that costs."""

from __future__ import annotations

import re

import pytest

from lambdaqueue import passwords
from lambdaqueue.account import EVERYWHERE, Account, Role, account_name, digest, new_secret
from lambdaqueue.errors import InvalidRequest

RIGHT = "correct horse battery"


@pytest.fixture
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "LOG_N", 4)


def test_the_parameters_are_those_that_are_documented() -> None:
    stored = passwords.hashed(RIGHT)
    assert re.fullmatch(r"scrypt\$15\$8\$3\$[\w-]{22}\$[\w-]{43}", stored)
    assert passwords.matches(RIGHT, stored)
    assert not passwords.matches(RIGHT, passwords.NOBODYS)
    for form in (stored, passwords.NOBODYS):
        assert form.split("$")[:4] == ["scrypt", "15", "8", "3"]


@pytest.mark.usefixtures("_cheap")
@pytest.mark.parametrize("other", ["", RIGHT + " ", RIGHT[:-1], RIGHT.upper(), "\x00" + RIGHT])
def test_another_one_does_not_match(other: str) -> None:
    stored = passwords.hashed(RIGHT)
    assert passwords.matches(RIGHT, stored)
    assert not passwords.matches(other, stored)


@pytest.mark.usefixtures("_cheap")
def test_two_are_kept_differently() -> None:
    assert passwords.hashed(RIGHT) != passwords.hashed(RIGHT)


def test_a_known_answer() -> None:
    """Made with another implementation: OpenSSL's `openssl kdf`, N = 1024, r = 8, p = 16."""
    stored = "scrypt$10$8$16$TmFDbE5hQ2xOYUNsTmFDbA$ruflYSr7JKwcyP4taFgPBJI7nqmwRVvjonthQb2MSCI"
    assert passwords.matches("password", stored)
    assert not passwords.matches("Password", stored)


def test_stronger_parameters_can_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "LOG_N", 4)
    old = passwords.hashed(RIGHT)
    monkeypatch.setattr(passwords, "LOG_N", 5)
    assert passwords.matches(RIGHT, old)
    assert passwords.hashed(RIGHT).startswith("scrypt$5$")


@pytest.mark.parametrize("stored", ["", "plain", "scrypt$15$8$3$x", "bcrypt$1$2$3$a$b"])
def test_what_is_no_hash(stored: str) -> None:
    with pytest.raises(ValueError, match="no hash"):
        passwords.matches(RIGHT, stored)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("x" * 9, "too_short"),
        ("x" * 10, None),
        ("é" * 5, None),  # 10 bytes
        ("x" * 128, None),
        ("x" * 129, "too_long"),
        ("é" * 65, "too_long"),
        ("\udcff" * 50, "too_long"),  # half of a pair is 3 bytes
        ("", "too_short"),
        ("\udcff\udcfe long password", "bad_unicode"),  # as a pipe of other bytes is read
        ("x" * 1_000_000, "too_long"),
    ],
)
def test_length(password: str, code: str | None) -> None:
    if code is None:
        assert passwords.check_new(password) == password
        return
    with pytest.raises(InvalidRequest) as caught:
        passwords.check_new(password)
    (issue,) = caught.value.issues
    assert (issue.path, issue.code) == (("password",), code)
    assert password[:3] not in issue.message or not password


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("jan", "jan"),
        (" Jan@Example.ORG ", "jan@example.org"),
        ("a" * 64, "a" * 64),
        ("0.a_b+c-d", "0.a_b+c-d"),
    ],
)
def test_names(given: str, name: str) -> None:
    assert account_name(given) == name


@pytest.mark.parametrize(
    "given", ["", " ", "a" * 65, "a b", "-a", "<b>", "é", "a\n", "a/b", "a:b", "\u0130"]
)
def test_what_is_no_name(given: str) -> None:
    if given == "a\n":  # space around a name is not part of it
        assert account_name(given) == "a"
        return
    with pytest.raises(InvalidRequest):
        account_name(given)


@pytest.mark.parametrize(
    ("roles", "here", "everywhere"),
    [
        ({}, None, None),
        ({"1": Role.VIEWER}, Role.VIEWER, None),
        ({"2": Role.ADMIN}, None, None),
        ({EVERYWHERE: Role.VIEWER}, Role.VIEWER, Role.VIEWER),
        ({EVERYWHERE: Role.VIEWER, "1": Role.ADMIN}, Role.ADMIN, Role.VIEWER),
        ({EVERYWHERE: Role.ADMIN, "1": Role.VIEWER}, Role.ADMIN, Role.ADMIN),
    ],
)
def test_roles(roles: dict[str, Role], here: Role | None, everywhere: Role | None) -> None:
    account = Account("i", "jan", roles, 0)
    assert (account.role_in("1"), account.everywhere) == (here, everywhere)


def test_an_admin_may_look_too() -> None:
    table = {(held, needed): held.includes(needed) for held in Role for needed in Role}
    assert [pair for pair, may in table.items() if not may] == [(Role.VIEWER, Role.ADMIN)]


def test_secrets() -> None:
    assert len(new_secret()) == 43
    assert new_secret() != new_secret()
    assert digest("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
