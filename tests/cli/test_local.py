"""Which Redis and which master keys the commands use, and what they say when they have none."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.cli.local import (
    forget_redis,
    opened,
    performer,
    prepared,
    tell_redis,
)
from lambdaqueue.cli.master_keys import MasterKeys
from lambdaqueue.config import Settings
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.identity import Token
from lambdaqueue.vault import Vault
from tests.cli.conftest import KEY, Shell

COMMANDS = [
    ["token", "list"],
    ["token", "create", "--name", "a"],
    ["token", "revoke", "AbCd1234"],
    ["secret", "show"],
    ["secret", "rotate"],
    ["env", "create", "a"],
    ["env", "list"],
    ["env", "delete", "a", "--yes"],
    ["keys", "rotate"],
]

DATA = Path(".lambdaqueue")


@pytest.mark.parametrize("words", COMMANDS)
def test_nothing_runs_here(shell: Shell, words: list[str]) -> None:
    answer = shell(*words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        "lambdaqueue: no `lambdaqueue up` runs in .lambdaqueue: start it, name its folder with "
        "--data, or set REDIS_URL and LQ_MASTER_KEYS as the server has them\n"
    )


@pytest.mark.parametrize("words", COMMANDS)
def test_a_wrong_key_does_nothing(
    shell: Shell, server: Administration, client: redis.Redis, words: list[str]
) -> None:
    wrong = Vault.new_key()
    shell.set(LQ_MASTER_KEYS=wrong)
    before = sorted(client.scan_iter("*"))
    answer = shell(*words)
    assert (answer.code, answer.out) == (1, "")
    assert "LQ_MASTER_KEYS has not the master key" in answer.err
    assert "Set it as the server has it" in answer.err
    assert wrong not in answer.err
    assert sorted(client.scan_iter("*")) == before
    assert len(server.audit(keys.DEFAULT_ENVIRONMENT, 10, None).rows) == 1


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"LQ_MASTER_KEYS": ""}, "LQ_MASTER_KEYS is not set: set it as the server has it"),
        ({"LQ_MASTER_KEYS": "pa55word"}, "LQ_MASTER_KEYS must be Fernet keys"),
        ({"REDIS_URL": "pa55word"}, "REDIS_URL must match"),
        ({"REDIS_URL": "redis://:pa55word/@127.0.0.1:1/0"}, "REDIS_URL is no URL"),
        ({"REDIS_URL": "redis://:pa55word@127.0.0.1:1/0"}, "Redis can't be reached (REDIS_URL)."),
        ({"LQ_GRACE": "pa55word"}, "LQ_GRACE must be a whole number"),
        ({"LQ_BOOTSTRAP_SECRET": "whsec_pa55word"}, "LQ_BOOTSTRAP_SECRET: a signature secret"),
    ],
)
def test_a_variable_that_can_not_be_used(
    shell: Shell, server: Administration, env: dict[str, str], said: str
) -> None:
    shell.set(**env)
    answer = shell("env", "list")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"lambdaqueue: {said}")
    assert "pa55word" not in answer.err


def test_a_full_redis_is_told(shell: Shell, server: Administration, client: redis.Redis) -> None:
    client.config_set("maxmemory", "1")
    try:
        answer = shell("token", "create", "--name", "a")
    finally:
        client.config_set("maxmemory", "0")
    assert answer.code == 1
    assert "out of memory or disk (REDIS_URL). Make room there" in answer.err


@pytest.mark.parametrize("data", [".lambdaqueue", "other place"])
def test_where_nothing_is_set_it_is_that_of_up(
    shell: Shell, redis_url: str, client: redis.Redis, data: str
) -> None:
    tell_redis(Path(data), redis_url)
    kept = MasterKeys.keep(Path(data), {})
    Administration(client, Settings(master_keys=kept.words)).prepare()
    words = [] if data == str(DATA) else ["--data", data]
    assert "default" in shell.output("env", "list", *words)
    forget_redis(Path(data))
    assert shell("env", "list", *words).code == 1


def test_up_is_no_more(shell: Shell) -> None:
    tell_redis(DATA, f"unix://{shell.folder}/redis.sock?db=0")
    MasterKeys.keep(DATA, {})
    answer = shell("env", "list")
    assert answer.code == 1
    assert "(that of `lambdaqueue up` in .lambdaqueue). Start `lambdaqueue up` there" in answer.err


def test_keys_of_up_without_its_redis(shell: Shell, server: Administration) -> None:
    shell.set(LQ_MASTER_KEYS="")
    assert shell("env", "list").code == 1
    DATA.mkdir()
    (DATA / "master_keys").write_text(f"# a comment\n{Vault.new_key()}\n{KEY}\n")
    assert "default" in shell.output("env", "list")
    said = shell.output("keys", "rotate").splitlines()[-1]
    assert said.endswith("take the older ones out of .lambdaqueue/master_keys now.")


def test_a_token_left_over_in_the_shell_replaces_none(
    shell: Shell, redis_url: str, client: redis.Redis
) -> None:
    real, stale = Token.generate(), Token.generate()
    settings = Settings(master_keys=(KEY,), bootstrap_token=real.text)
    administration = Administration(client, settings)
    administration.prepare()
    shell.set(REDIS_URL=redis_url, LQ_MASTER_KEYS=KEY, LQ_BOOTSTRAP_TOKEN=stale.text)
    assert real.id in shell.output("token", "list")
    (info,) = administration.tokens(keys.DEFAULT_ENVIRONMENT, 10, None).rows
    assert info.is_of(real)


def test_a_key_that_was_made_for_a_database_with_another_one_goes_again(
    server: Administration, redis_url: str, tmp_path: Path
) -> None:
    made = MasterKeys.keep(tmp_path, {})
    administration = opened(Settings(redis_url=redis_url, master_keys=made.words))
    with pytest.raises(ConfigurationError, match="master_keys is missing: it has the key") as said:
        prepared(administration, made)
    assert "set LQ_MASTER_KEYS to what the server had" in str(said.value)
    assert list(tmp_path.iterdir()) == []


def test_a_kept_key_that_is_wrong_stays(
    server: Administration, redis_url: str, tmp_path: Path
) -> None:
    MasterKeys.keep(tmp_path, {})
    kept = MasterKeys.keep(tmp_path, {})
    administration = opened(Settings(redis_url=redis_url, master_keys=kept.words))
    with pytest.raises(ConfigurationError, match="has not the master key"):
        prepared(administration, kept)
    assert MasterKeys.find(tmp_path, {}) == kept


def test_where_redis_is_is_told_to_the_owner_alone(tmp_path: Path) -> None:
    tell_redis(tmp_path / "data", "unix:///a")
    (file,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    forget_redis(tmp_path / "data")
    forget_redis(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_variable_does_not_say_who_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert performer("token") == f"lambdaqueue token ({pwd.getpwuid(os.getuid()).pw_name})"


def test_an_id_without_a_name_says_who_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert performer("env") == "lambdaqueue env (4000000000)"
