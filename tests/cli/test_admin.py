"""`lambdaqueue admin` on a real Redis."""

from __future__ import annotations

import getpass
import io
import sys
from collections.abc import Iterator

import pytest
import redis

from lambdaqueue import passwords
from lambdaqueue.account import EVERYWHERE, Role
from lambdaqueue.administration import Administration
from lambdaqueue.cli import main
from lambdaqueue.cli.local import performer
from lambdaqueue.instants import iso
from tests.cli.conftest import Shell

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "LOG_N", 4)


def create(shell: Shell, *words: str, password: str = PASSWORD) -> None:
    answer = shell("admin", "create", *words, stdin=f"{password}\n")
    assert (answer.code, answer.out) == (0, ""), answer.err


def roles(server: Administration, name: str = "jan") -> dict[str, Role]:
    return dict(server.signing_in().account(name).roles)


def test_create(shell: Shell, server: Administration, client: redis.Redis) -> None:
    answer = shell("admin", "create", "Jan", stdin=f"{PASSWORD}\r\nmore\n")
    assert answer.code == 0
    assert answer.err == "jan is made: admin in all environments\n"
    assert roles(server) == {EVERYWHERE: Role.ADMIN}
    assert server.signing_in().sign_in("jan", PASSWORD, "::1") is not None
    stored = b"".join(client.dump(key) or b"" for key in client.scan_iter("*"))
    assert PASSWORD.encode() not in stored


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--role", "viewer"], {EVERYWHERE: Role.VIEWER}),
        (["--env", "default"], {"1": Role.ADMIN}),
        (["--env", "default", "--role", "viewer"], {"1": Role.VIEWER}),
    ],
)
def test_roles(
    shell: Shell, server: Administration, words: list[str], expected: dict[str, Role]
) -> None:
    create(shell, "jan", *words)
    assert roles(server) == expected


def test_several_environments(shell: Shell, server: Administration) -> None:
    shop = server.create_environment("shop", "test").id
    create(shell, "jan", "--env", "shop", "--env", "default", "--role", "viewer")
    assert roles(server) == {"1": Role.VIEWER, shop: Role.VIEWER}
    shell.output("admin", "role", "jan", "--role", "admin", "--env", "shop")
    shell.output("admin", "role", "Jan", "--role", "none", "--env", "default")
    assert roles(server) == {shop: Role.ADMIN}
    shell.output("admin", "role", "jan", "--role", "viewer")
    assert roles(server) == {shop: Role.ADMIN, EVERYWHERE: Role.VIEWER}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> Iterator[list[str]]:
    """What is typed where a password is asked for; nothing of it is echoed."""
    words: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: words.pop(0))
    monkeypatch.setattr(sys, "stdin", Terminal())
    yield words
    assert words == []


def test_a_terminal_is_asked_twice(typed: list[str], server: Administration) -> None:
    typed += [PASSWORD, PASSWORD]
    assert main(["admin", "create", "jan"]) == 0
    typed += ["another password", "something else"]
    assert main(["admin", "password", "jan"]) == 2
    typed += ["short"]
    assert main(["admin", "password", "jan"]) == 2
    assert server.signing_in().sign_in("jan", PASSWORD, "") is not None


@pytest.mark.parametrize(
    ("words", "password", "said"),
    [
        (["jan"], "", "the password must have at least 10 bytes"),
        (["jan"], "short", "the password must have at least 10 bytes"),
        (["jan"], "x" * 129, "the password must have at most 128 bytes"),
        (["<b>"], PASSWORD, "the name must be 1 to 64 of"),
        (["a b"], PASSWORD, "the name must be 1 to 64 of"),
        ([""], PASSWORD, "is no name"),
        (["a\x1b"], PASSWORD, "is no name"),
        (["jan", "--role", "owner"], PASSWORD, "invalid Role value"),
        ([], PASSWORD, "required: NAME"),
    ],
)
def test_a_wrong_call_is_code_2_and_does_nothing(
    shell: Shell, server: Administration, words: list[str], password: str, said: str
) -> None:
    answer = shell("admin", "create", *words, stdin=f"{password}\n")
    assert answer.code == 2
    assert said in answer.err
    assert "correct horse" not in answer.err
    assert server.signing_in().accounts() == []


def test_a_name_is_taken_once(shell: Shell, server: Administration) -> None:
    create(shell, "jan")
    answer = shell("admin", "create", "JAN", stdin="another password\n")
    assert answer.code == 1
    assert "there is an account jan already" in answer.err
    assert server.signing_in().sign_in("jan", PASSWORD, "") is not None


def test_list(shell: Shell, server: Administration) -> None:
    assert "`lambdaqueue admin create NAME` makes one" in shell("admin", "list").err
    create(shell, "jan", "--role", "viewer")
    create(shell, "eva", "--env", "default")
    create(shell, "adam")
    shell.output("admin", "role", "adam", "--role", "none")
    server.signing_in().sign_in("jan", PASSWORD, "")
    head, adam, eva, jan = shell.output("admin", "list").splitlines()
    assert head.split() == ["NAME", "ROLES", "CREATED", "LAST", "SIGN-IN"]
    assert adam.split()[:2] == ["adam", "none"]
    assert "admin in default" in eva
    assert eva.endswith("never")
    last = server.signing_in().account("jan").last_sign_in
    assert last is not None
    assert "viewer in all environments" in jan
    assert jan.endswith(iso(last))


def test_password_and_remove(shell: Shell, server: Administration) -> None:
    create(shell, "jan")
    secret = server.signing_in().sign_in("jan", PASSWORD, "")
    assert secret is not None
    assert shell("admin", "password", "jan", stdin="another password\n").code == 0
    assert server.signing_in().session(secret) is None
    assert server.signing_in().sign_in("jan", PASSWORD, "") is None
    secret = server.signing_in().sign_in("jan", "another password", "")
    assert secret is not None
    assert shell("admin", "remove", "jan").err == "jan is removed\n"
    assert server.signing_in().session(secret) is None
    assert server.signing_in().accounts() == []


@pytest.mark.parametrize(
    "words", [["password", "eva"], ["remove", "eva"], ["role", "eva", "--role", "viewer"]]
)
def test_nobody(shell: Shell, server: Administration, words: list[str]) -> None:
    answer = shell("admin", *words, stdin=f"{PASSWORD}\n")
    assert answer.code == 1
    assert "there is no account eva: `lambdaqueue admin list` shows which there are" in answer.err


@pytest.mark.parametrize("words", [["create", "jan"], ["role", "jan", "--role", "viewer"]])
def test_an_unknown_environment(shell: Shell, server: Administration, words: list[str]) -> None:
    if words[0] == "role":
        create(shell, "jan")
    answer = shell("admin", *words, "--env", "nowhere", stdin=f"{PASSWORD}\n")
    assert answer.code == 1
    assert "no environment nowhere: `lambdaqueue env list` shows" in answer.err


def test_the_audit_names_the_command_and_its_user(shell: Shell, server: Administration) -> None:
    create(shell, "jan")
    shell("admin", "password", "jan", stdin="another password\n")
    shell("admin", "role", "jan", "--role", "viewer")
    shell("admin", "remove", "jan")
    rows = server.audit("1", 4, None).rows
    assert [(row.token, row.action, row.object) for row in reversed(rows)] == [
        (performer("admin"), action, thing)
        for action, thing in (
            ("account.create", "jan"),
            ("account.password", "jan"),
            ("account.role", "jan: viewer everywhere"),
            ("account.delete", "jan"),
        )
    ]


def test_without_a_server(shell: Shell) -> None:
    answer = shell("admin", "list")
    assert answer.code == 1
    assert "no `lambdaqueue up` runs in" in answer.err
