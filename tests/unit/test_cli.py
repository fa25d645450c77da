"""The command itself: help, lazy imports, missing extras, and its small parts."""

from __future__ import annotations

import argparse
import importlib.util
import stat
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from lambdaqueue import __version__
from lambdaqueue.cli import COMMANDS, main
from lambdaqueue.cli.credentials import Credentials
from lambdaqueue.cli.durations import duration
from lambdaqueue.cli.server import server_env, server_root
from lambdaqueue.cli.terminal import printable, table
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.identity import TOKEN
from lambdaqueue.signing import Secret

ROOT = Path(__file__).parents[2]

CLIENT_COMMANDS = ("push", "queues", "history", "schedule", "schedules", "listen")

ACTIONS = [
    ["token", "create"],
    ["token", "list"],
    ["token", "revoke"],
    ["secret", "show"],
    ["secret", "rotate"],
    ["env", "create"],
    ["env", "list"],
    ["env", "delete"],
    ["keys", "new"],
    ["keys", "rotate"],
]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"lambdaqueue {__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {name} " in shown for name in COMMANDS)
    assert "start here" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: lambdaqueue {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", ACTIONS, ids=" ".join)
def test_every_action_has_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"usage: lambdaqueue {' '.join(words)}" in shown
    # Those that work on Redis say which one.
    assert ("--data" in shown) is ("REDIS_URL and LQ_MASTER_KEYS" in shown)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["no-such"],
        ["push"],
        ["up", "--port", "70000"],
        ["token"],
        ["env", "no-such"],
        ["keys"],
        ["schedule", "mail"],
    ],
)
def test_a_wrong_call_is_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: lambdaqueue" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    words = [sys.executable, "-m", "lambdaqueue", "--version"]
    shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == f"lambdaqueue {__version__}\n"


def test_client_commands_import_nothing_of_the_server() -> None:
    modules = ", ".join(COMMANDS[name].module for name in CLIENT_COMMANDS)
    unwanted = (
        "{'redis', 'hiredis', 'rq', 'flask', 'pycurl', 'marshmallow', 'cryptography', 'fcntl', "
        "'croniter'}"
    )
    program = f"import sys, {modules}; print(sorted({unwanted} & set(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


def test_a_server_command_without_the_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find_spec = importlib.util.find_spec

    def without_flask(name: str) -> ModuleSpec | None:
        return None if name == "flask" else find_spec(name)

    monkeypatch.setattr(importlib.util, "find_spec", without_flask)
    assert main(["up"]) == 1
    assert "pip install 'lambdaqueue[server]'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["worker", "scheduler"])
def test_so_does_a_process_of_the_procfile(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(module: str) -> None:
        raise ModuleNotFoundError("No module named 'rq.worker'", name="rq.worker")

    monkeypatch.setattr(f"lambdaqueue.cli.{command}.import_from_server", missing)
    assert main([command]) == 1
    assert "rq.worker is not installed" in capsys.readouterr().err


def test_the_server_of_a_checkout_is_the_checkout() -> None:
    assert server_root() == ROOT


def test_the_server_is_first_on_the_path_of_its_processes(tmp_path: Path) -> None:
    assert server_env({}, tmp_path)["PYTHONPATH"] == str(tmp_path)
    assert server_env({"PYTHONPATH": "/a"}, tmp_path)["PYTHONPATH"] == f"{tmp_path}:/a"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("0", 0),
        ("250", 250),
        ("500ms", 500),
        ("10s", 10_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert duration(text) == ms


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1.5s", "1 s", "1w", "10S", "1s ", "٣s", "9" * 99]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no duration"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 東京 🎉", "naïve 東京 🎉"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x9b", "\\x1b[2J\\x9b"),
        ("\u202egnp.exe\u2028", "\\u202egnp.exe\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_for_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_long_text_is_cut() -> None:
    assert printable("abcdef", 3) == "abc…"
    assert printable("abc", 3) == "abc"


def test_a_table() -> None:
    lines = table(["NAME", "WAITING"], [["mail", "5"], ["a\nb", "12345678"]])
    assert lines == ["NAME  WAITING", "mail         5", "a\\nb  12345678"]


def test_credentials_are_made_once(tmp_path: Path) -> None:
    made = Credentials.keep(tmp_path / "data", {})
    assert TOKEN.fullmatch(made.token)
    assert Secret.parse(made.secret).reveal() == made.secret
    assert Credentials.keep(tmp_path / "data", {}) == made
    assert Credentials.find(tmp_path / "data") == made
    file = tmp_path / "data" / "credentials"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["credentials"]


def test_credentials_of_the_environment_win_and_are_kept(tmp_path: Path) -> None:
    made = Credentials.keep(tmp_path, {})
    fixed = Credentials.keep(tmp_path, {"LQ_BOOTSTRAP_TOKEN": "lqk_fixed"})
    assert fixed == Credentials("lqk_fixed", made.secret)
    assert Credentials.find(tmp_path) == fixed


def test_credentials_are_replaced_by_what_is_true_now(tmp_path: Path) -> None:
    made = Credentials.keep(tmp_path, {})
    file = tmp_path / "credentials"
    before = file.stat().st_ino
    made.save(tmp_path)
    assert file.stat().st_ino == before
    Credentials(made.token, "whsec_1").save(tmp_path)
    assert Credentials.find(tmp_path) == Credentials(made.token, "whsec_1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_credentials_do_not_show_in_a_representation() -> None:
    assert repr(Credentials("lqk_1", "whsec_1")) == "Credentials()"


def test_no_credentials_are_none(tmp_path: Path) -> None:
    assert Credentials.find(tmp_path) is None
    (tmp_path / "credentials").write_text("LQ_BOOTSTRAP_TOKEN=lqk_1\n")
    assert Credentials.find(tmp_path) is None


def test_credentials_that_can_not_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="can't be"):
        Credentials.keep(tmp_path / "file", {})
