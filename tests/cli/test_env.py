"""`lambdaqueue env` on a real Redis."""

from __future__ import annotations

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.authentication import Authentication
from lambdaqueue.cli.local import performer
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import NotFound
from lambdaqueue.identity import ALL_SCOPES, Actor
from tests.cli.conftest import Shell


def _names(server: Administration) -> list[str]:
    return [info.name for info in server.environments()]


def test_create(shell: Shell, server: Administration, client: redis.Redis) -> None:
    answer = shell("env", "create", "shop.eu-1")
    assert answer.code == 0
    printed = dict(line.split("=", 1) for line in answer.out.splitlines())
    assert list(printed) == ["LQ_TOKEN", "LQ_SECRET"]
    identity = Authentication(client).authenticate(printed["LQ_TOKEN"], "")
    info = server.environment_named("shop.eu-1")
    assert identity is not None
    assert (identity.environment, identity.scopes) == (info.id, ALL_SCOPES)
    assert server.secret(Actor(info.id, "test")).secret.reveal() == printed["LQ_SECRET"]
    assert "will not be shown again" in answer.err
    assert not any(value in answer.err for value in printed.values())
    (entry,) = server.audit(info.id, 1, None).rows
    made = server.audit(info.id, 100, None).rows[-1]
    assert (made.token, made.action) == (performer("env"), "environment.create")
    assert entry.token == "test"


@pytest.mark.parametrize("name", ["a", "0", "a" * 64, "a.b-c_d"])
def test_names(shell: Shell, server: Administration, name: str) -> None:
    shell.output("env", "create", name)
    assert name in _names(server)


@pytest.mark.parametrize("name", ["", "a" * 65, "A", ".a", "_a", "a b", "a/b", "a:b", "é", "a\n"])
def test_what_is_no_name(shell: Shell, server: Administration, name: str) -> None:
    answer = shell("env", "create", name)
    assert (answer.code, answer.out) == (2, "")
    assert "begin with a letter or a digit" in answer.err
    assert _names(server) == ["default"]


def test_a_name_is_taken_once(shell: Shell, server: Administration) -> None:
    shell.output("env", "create", "shop")
    answer = shell("env", "create", "shop")
    assert (answer.code, answer.out) == (1, "")
    assert "lambdaqueue token create --env shop" in answer.err


def test_list(shell: Shell, server: Administration) -> None:
    info = server.create_environment("shop", "test")
    head, first, second = shell.output("env", "list").splitlines()
    assert head.split() == ["NAME", "ID", "CREATED"]
    assert first.split()[:2] == ["default", keys.DEFAULT_ENVIRONMENT]
    assert second.split()[:2] == ["shop", info.id]


@pytest.mark.parametrize(("words", "stdin"), [(["--yes"], ""), ([], "shop\n")])
def test_delete(
    shell: Shell, server: Administration, client: redis.Redis, words: list[str], stdin: str
) -> None:
    shell.output("env", "create", "shop")
    info = server.environment_named("shop")
    client.hset(keys.queue(info.id, "mail"), "created", "1")
    client.zadd(keys.queues(info.id), {"mail": 0})
    answer = shell("env", "delete", "shop", *words, stdin=stdin)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "tokens revoked",
        "queue mail removed, 0 jobs cancelled",
        "environment removed",
    ]
    assert ("Type its name" in answer.err) is bool(stdin)
    assert _names(server) == ["default"]
    # For a day it's told to requests that were let in before.
    assert list(client.scan_iter(f"lq:{info.id}:*")) == [keys.environment(info.id).encode()]
    assert client.hgetall(keys.environment(info.id)) == {b"closed": b"1"}
    assert 0 < client.ttl(keys.environment(info.id)) <= 86_400


@pytest.mark.parametrize("stdin", ["", "\n", "y\n", "Shop\n"])
def test_another_answer_deletes_nothing(shell: Shell, server: Administration, stdin: str) -> None:
    shell.output("env", "create", "shop")
    answer = shell("env", "delete", "shop", stdin=stdin)
    assert (answer.code, answer.out) == (1, "")
    assert "nothing was deleted" in answer.err
    assert server.tokens(server.environment_named("shop").id, 10, None).rows


def test_a_deletion_that_was_broken_off_goes_on_unasked(
    shell: Shell, server: Administration, client: redis.Redis
) -> None:
    info = server.create_environment("shop", "test")
    EnvironmentStore(client).close(info.id)
    with pytest.raises(NotFound):
        server.environment_named("shop")
    assert "lambdaqueue env delete shop" in shell("env", "create", "shop").err
    assert shell.output("env", "delete", "shop").splitlines()[-1] == "environment removed"
    assert shell("env", "create", "shop").code == 0


def test_the_first_one_stays(shell: Shell, server: Administration) -> None:
    answer = shell("env", "delete", "default", "--yes")
    assert (answer.code, answer.out) == (1, "")
    assert "Empty it instead" in answer.err
    assert _names(server) == ["default"]


def test_an_unknown_one(shell: Shell, server: Administration) -> None:
    answer = shell("env", "delete", "shop")
    assert answer.code == 1
    assert "no environment shop: `lambdaqueue env list` shows" in answer.err
