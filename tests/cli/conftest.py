"""A shell for the managing commands, beside a real Redis with the keys of a server."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from lambdaqueue.administration import Administration
from lambdaqueue.cli import main
from lambdaqueue.config import Settings
from lambdaqueue.vault import Vault

KEY = Vault.new_key()


@dataclass(frozen=True)
class Answer:
    """What a command ended with."""

    code: int
    out: str
    err: str


class Shell:
    """Calls the command as `main` is called, and keeps what it printed."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def set(self, **env: str) -> None:
        """Set variables; an empty one counts as not set."""
        for name, value in env.items():
            self._monkeypatch.setenv(name, value)

    def __call__(self, *words: str, stdin: str = "") -> Answer:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(str(ended.code))
        printed = self._capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    def output(self, *words: str) -> str:
        """Return what a command that must succeed wrote to standard output."""
        answer = self(*words)
        assert answer.code == 0, answer.err
        return answer.out


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Shell:
    """A shell in an empty folder, with no variable of ours."""
    for name in os.environ:
        if name.startswith("LQ_") or name == "REDIS_URL":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys, tmp_path)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """The Redis of the server, emptied for this test."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def server(shell: Shell, client: redis.Redis, redis_url: str) -> Administration:
    """A server that was started once; the shell has its settings."""
    shell.set(REDIS_URL=redis_url, LQ_MASTER_KEYS=KEY)
    administration = Administration(client, Settings(redis_url=redis_url, master_keys=(KEY,)))
    administration.prepare()
    return administration
