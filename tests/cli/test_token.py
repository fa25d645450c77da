"""`lambdaqueue token` on a real Redis."""

from __future__ import annotations

import time

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.authentication import Authentication
from lambdaqueue.cli.local import performer
from lambdaqueue.config import Settings
from lambdaqueue.identity import ALL_SCOPES, Actor, Scope, Token
from lambdaqueue.instants import iso
from tests.cli.conftest import KEY, Shell

DAY = 86_400_000
DEFAULT = keys.DEFAULT_ENVIRONMENT


def test_create_prints_the_token_alone(
    shell: Shell, server: Administration, client: redis.Redis
) -> None:
    answer = shell("token", "create", "--name", "shop")
    assert answer.code == 0
    token = Token.parse(answer.out.removesuffix("\n"))
    assert token is not None
    assert "not be shown again" in answer.err
    assert f"lambdaqueue token revoke lqk_{token.id} --env default" in answer.err
    assert token.text not in answer.err
    identity = Authentication(client).authenticate(token.text, "")
    assert identity is not None
    assert (identity.environment, identity.token_name) == (DEFAULT, "shop")
    assert identity.scopes == {Scope.PUSH, Scope.READ}
    (row,) = server.tokens(DEFAULT, 10, None).rows
    assert row.expires is None


def test_quiet_has_no_words(shell: Shell, server: Administration) -> None:
    answer = shell("token", "create", "--name", "shop", "--quiet")
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "scopes"),
    [
        (["--scope", "push"], {Scope.PUSH}),
        (["--scope", "push,manage"], {Scope.PUSH, Scope.MANAGE}),
        (["--scope", "push", "--scope", "read, manage"], ALL_SCOPES),
    ],
)
def test_scopes(
    shell: Shell, server: Administration, words: list[str], scopes: frozenset[Scope]
) -> None:
    shell.output("token", "create", "--name", "a", *words)
    assert server.tokens(DEFAULT, 10, None).rows[0].scopes == scopes


def test_a_token_expires(shell: Shell, server: Administration) -> None:
    shell.output("token", "create", "--name", "a", "--expires", "90d")
    shell.output("token", "create", "--name", "b", "--expires", "2030-03-01T12:00:00+01:00")
    soon, instant = (info.expires for info in server.tokens(DEFAULT, 10, None).rows)
    assert soon is not None
    assert abs(soon - time.time() * 1_000 - 90 * DAY) < 60_000
    assert instant == 1_898_593_200_000
    assert "2030-03-01T11:00:00.000Z" in shell.output("token", "list")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["create"],
        ["create", "--name", ""],
        ["create", "--name", "n" * 65],
        ["create", "--name", "a\nb"],
        ["create", "--name", "a", "--scope", "admin"],
        ["create", "--name", "a", "--scope", ""],
        ["create", "--name", "a", "--expires", "90"],
        ["create", "--name", "a", "--expires", "0d"],
        ["create", "--name", "a", "--expires", "4000d"],
        ["create", "--name", "a", "--expires", "2020-01-01T00:00:00Z"],
        ["create", "--name", "a", "--expires", "2030-01-01T00:00:00"],
        ["create", "--name", "a", "--env", "\udcff"],
        ["revoke"],
        ["revoke", "lqk_short"],
    ],
)
def test_a_wrong_call_is_code_2_and_does_nothing(
    shell: Shell, server: Administration, words: list[str]
) -> None:
    answer = shell("token", *words)
    assert answer.code == 2
    assert "usage: lambdaqueue token" in answer.err
    assert server.tokens(DEFAULT, 10, None).rows == ()


def test_a_name_is_taken_once(shell: Shell, server: Administration) -> None:
    shell.output("token", "create", "--name", "a")
    answer = shell("token", "create", "--name", "a")
    assert (answer.code, answer.out) == (1, "")
    assert "revoke it first, or take another name" in answer.err


def test_list_shows_all_but_the_tokens(
    shell: Shell, server: Administration, client: redis.Redis
) -> None:
    assert "`lambdaqueue token create --name NAME` makes one" in shell.output("token", "list")
    text = shell.output("token", "create", "--name", "näme", "--scope", "read,push").strip()
    token = Token.parse(text)
    assert token is not None
    assert Authentication(client).authenticate(text, "") is not None
    (info,) = server.tokens(DEFAULT, 10, None).rows
    assert info.last_used is not None
    head, row = shell.output("token", "list").splitlines()
    assert head.split() == ["ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST", "USED"]
    assert row.split() == [
        f"lqk_{token.id}", "näme", "push,read", iso(info.created), "never", iso(info.last_used),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["{id}", "lqk_{id}", "{text}"])
@pytest.mark.parametrize("token_id", ["AbCd1234", "-bCd1234"])
def test_revoke(
    shell: Shell, client: redis.Redis, redis_url: str, form: str, token_id: str
) -> None:
    token = Token(token_id, f"lqk_{token_id}_{'s' * 43}")
    shell.set(REDIS_URL=redis_url, LQ_MASTER_KEYS=KEY)
    Administration(client, Settings(master_keys=(KEY,), bootstrap_token=token.text)).prepare()
    assert Authentication(client).authenticate(token.text, "") is not None
    word = form.format(id=token.id, text=token.text)
    words = ["--", word] if word.startswith("-") else [word]
    assert shell.output("token", "revoke", *words) == f"lqk_{token_id} is revoked\n"
    assert Authentication(client).authenticate(token.text, "") is None
    again = shell("token", "revoke", *words)
    assert again.code == 1
    assert "`lambdaqueue token list --env default` shows which there are" in again.err
    assert token.text not in again.err


def test_each_environment_has_its_own(shell: Shell, server: Administration) -> None:
    other = server.create_environment("other", "test")
    shell.output("token", "create", "--name", "a", "--env", "other")
    (info,) = server.tokens(other.id, 10, None).rows
    assert "no tokens in default" in shell.output("token", "list")
    assert shell("token", "revoke", f"lqk_{info.id}").code == 1
    assert info.name in shell.output("token", "list", "--env", "other")


@pytest.mark.parametrize("action", [["create", "--name", "a"], ["list"], ["revoke", "AbCd1234"]])
def test_an_unknown_environment(shell: Shell, server: Administration, action: list[str]) -> None:
    answer = shell("token", *action, "--env", "nowhere")
    assert (answer.code, answer.out) == (1, "")
    assert "no environment nowhere: `lambdaqueue env list` shows" in answer.err


def test_more_tokens_than_a_page(
    shell: Shell, server: Administration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdaqueue.cli.token.PAGE", 2)
    for name in "abcde":
        server.issue_token(Actor(DEFAULT, "test"), name, ALL_SCOPES)
    assert len(shell.output("token", "list").splitlines()) == 6


def test_the_audit_names_the_command_and_its_user(shell: Shell, server: Administration) -> None:
    token = Token.parse(shell.output("token", "create", "--name", "a").strip())
    assert token is not None
    shell.output("token", "revoke", token.id if token.id[0] != "-" else f"lqk_{token.id}")
    rows = server.audit(DEFAULT, 2, None).rows
    assert [(row.token, row.action, row.object, row.address) for row in rows] == [
        (performer("token"), "token.revoke", "a", ""),
        (performer("token"), "token.create", "a", ""),
    ]
    assert performer("token").startswith("lambdaqueue token (")
