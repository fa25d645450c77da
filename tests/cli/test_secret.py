"""`lambdaqueue secret` and `lambdaqueue keys` on a real Redis."""

from __future__ import annotations

import re
import time

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.cli.local import performer
from lambdaqueue.config import Settings
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.identity import Actor
from lambdaqueue.signing import Secret
from lambdaqueue.vault import Vault
from tests.cli.conftest import KEY, Shell

TEST = Actor(keys.DEFAULT_ENVIRONMENT, "test")


def _make_queue(client: redis.Redis, name: str) -> None:
    client.hset(keys.queue(TEST.environment, name), "created", "1")
    client.zadd(keys.queues(TEST.environment), {name: 0})


def test_show(shell: Shell, server: Administration) -> None:
    answer = shell("secret", "show")
    assert answer.out == server.secret(TEST).secret.reveal() + "\n"
    assert "signed with it since" in answer.err
    assert "whsec_" not in answer.err
    entry = server.audit(TEST.environment, 2, None).rows[1]
    assert (entry.token, entry.action) == (performer("secret"), "secret.read")


def test_the_first_secret_may_be_fixed(shell: Shell, redis_url: str) -> None:
    fixed = Secret.generate().reveal()
    shell.set(REDIS_URL=redis_url, LQ_MASTER_KEYS=KEY, LQ_BOOTSTRAP_SECRET=fixed)
    assert shell.output("secret", "show") == fixed + "\n"


def test_rotate(shell: Shell, server: Administration) -> None:
    before = server.secret(TEST).secret
    answer = shell("secret", "rotate")
    info = server.secret(TEST)
    assert answer.out == info.secret.reveal() + "\n"
    assert info.secret != before
    assert info.previous == before
    assert info.previous_until is not None
    assert abs(info.previous_until - time.time() * 1_000 - 86_400_000) < 60_000
    assert "the one before still counts until" in answer.err
    assert "the one before still counts until" in shell("secret", "show").err


def test_a_leaked_one_counts_no_more(shell: Shell, server: Administration) -> None:
    assert "the one before" not in shell("secret", "rotate", "--overlap", "0").err
    assert server.secret(TEST).previous is None


def test_each_environment_has_its_own(shell: Shell, server: Administration) -> None:
    server.create_environment("other", "test")
    shown = shell.output("secret", "show")
    assert shell.output("secret", "show", "--env", "other") != shown
    shell.output("secret", "rotate", "--env", "other")
    assert shell.output("secret", "show") == shown


def test_a_queue_has_its_own(shell: Shell, server: Administration, client: redis.Redis) -> None:
    _make_queue(client, "mail")
    shown = shell.output("secret", "show", "--queue", "mail")
    assert shown == server.queue_secret(TEST, "mail").reveal() + "\n"
    assert shown != shell.output("secret", "show")
    absent = shell("secret", "show", "--queue", "post")
    assert (absent.code, absent.out) == (1, "")
    assert "there is no queue post in default" in absent.err


@pytest.mark.parametrize(
    "words", [[], ["rotate", "--overlap", "8d"], ["rotate", "--overlap", "soon"], ["hide"]]
)
def test_a_wrong_call_is_code_2(shell: Shell, server: Administration, words: list[str]) -> None:
    before = server.secret(TEST)
    assert shell("secret", *words).code == 2
    assert server.secret(TEST) == before


def test_a_new_master_key(shell: Shell) -> None:
    answer = shell("keys", "new")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}=\n", answer.out)
    assert answer.out.strip() not in answer.err
    assert shell("keys", "new").out != answer.out


def test_the_master_key_is_changed(
    shell: Shell, server: Administration, client: redis.Redis
) -> None:
    server.create_environment("other", "test")
    _make_queue(client, "mail")
    shown = [shell.output("secret", "show", *words) for words in ([], ["--queue", "mail"])]
    new = shell.output("keys", "new").strip()
    shell.set(LQ_MASTER_KEYS=f"{new},{KEY}")
    assert shell.output("keys", "rotate").splitlines() == [
        "1/2 default",
        "2/2 other",
        "All is sealed with the newest key: take the older ones out of LQ_MASTER_KEYS now.",
    ]
    shell.set(LQ_MASTER_KEYS=new)
    assert [shell.output("secret", "show"), shell.output("secret", "show", "--queue", "mail")] == (
        shown
    )
    with pytest.raises(ConfigurationError):
        Administration(client, Settings(master_keys=(KEY,))).prepare()


def test_there_is_nothing_to_change_to(shell: Shell, server: Administration) -> None:
    assert "the only key there is" in shell.output("keys", "rotate")


def test_a_new_key_alone_is_refused(shell: Shell, server: Administration) -> None:
    shown = shell.output("secret", "show")
    shell.set(LQ_MASTER_KEYS=Vault.new_key())
    assert shell("keys", "rotate").code == 1
    shell.set(LQ_MASTER_KEYS=KEY)
    assert shell.output("secret", "show") == shown
