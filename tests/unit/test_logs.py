"""Logs: one line for each event, whatever is in it."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambdaqueue.config import Settings
from lambdaqueue.logs import Log, configure_logging, formatter

ROOT = Path(__file__).parents[2]
CALLS = ("log.debug", "log.info", "log.warning", "log.error", "tell", "_tell")
NASTY = 'a\nb\r\x1b[31mred\x1b[0m "q" \\ é \u2028 \x00'


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is written to a logger of its own, which passes nothing on."""
    made = io.StringIO()
    logger = logging.getLogger("lambdaqueue.test")
    handler = logging.StreamHandler(made)
    logger.addHandler(handler)
    logger.propagate, logger.level = False, logging.INFO
    yield made
    logger.removeHandler(handler)
    logger.propagate = True


def write(stream: io.StringIO, log_format: str) -> Log:
    logging.getLogger("lambdaqueue.test").handlers[0].setFormatter(formatter(log_format))
    return Log("lambdaqueue.test")


def lines(stream: io.StringIO) -> list[Any]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestJson:
    def test_fields_are_fields(self, stream: io.StringIO) -> None:
        write(stream, "json").warning("workers_lost", count=2, id="1:a")
        (line,) = lines(stream)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert isinstance(line.pop("pid"), int)
        assert line == {
            "level": "warning", "logger": "lambdaqueue.test", "event": "workers_lost",
            "count": 2, "id": "1:a",
        }  # fmt: skip

    def test_anything_stays_in_its_line(self, stream: io.StringIO) -> None:
        write(stream, "json").error("e", text=NASTY, error=ValueError(NASTY))
        assert len(stream.getvalue().splitlines()) == 1
        assert "\x1b" not in stream.getvalue()
        assert [line["text"] for line in lines(stream)] == [NASTY]

    def test_a_cause_brings_its_traceback(self, stream: io.StringIO) -> None:
        log = write(stream, "json")
        try:
            raise ValueError(NASTY)
        except ValueError as error:
            log.error("attempt_broke", cause=error)
        (line,) = lines(stream)
        assert "ValueError: a\nb" in line["traceback"]

    def test_a_library_s(self, stream: io.StringIO) -> None:
        write(stream, "json")
        logging.getLogger("lambdaqueue.test").warning("100 %s", NASTY)
        (line,) = lines(stream)
        assert (line["event"], line["message"]) == ("log", f"100 {NASTY}")


class TestText:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("1:a/b.c", "1:a/b.c"),
            (7, "7"),
            ("", '""'),
            ("a b", '"a b"'),
            ("é", '"é"'),
            ("a\nb=c", '"a\\nb=c"'),
            ("\x1b[31m", '"\\u001b[31m"'),
            (None, "None"),
        ],
    )
    def test_values(self, stream: io.StringIO, value: object, shown: str) -> None:
        write(stream, "text").info("e", field=value)
        assert stream.getvalue().endswith(f" INFO lambdaqueue.test e field={shown}\n")

    def test_a_library_s_line_is_one(self, stream: io.StringIO) -> None:
        write(stream, "text")
        logging.getLogger("lambdaqueue.test").warning(NASTY)
        assert len(stream.getvalue().splitlines()) == 1
        assert "\x1b" not in stream.getvalue()

    def test_a_traceback_has_its_lines_but_no_colours(self, stream: io.StringIO) -> None:
        log = write(stream, "text")
        try:
            raise ValueError(NASTY)
        except ValueError as error:
            log.error("attempt_broke", cause=error)
        assert "\x1b" not in stream.getvalue()
        assert "\nValueError: a\nb" in stream.getvalue()


def test_what_is_below_the_level_costs_nothing(stream: io.StringIO) -> None:
    class Unread:
        def __str__(self) -> str:
            raise AssertionError

    write(stream, "text").debug("delivery_completed", field=Unread())
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("log_format", "kind"), [("json", "_Json"), ("text", "_Text")])
def test_the_operator_chooses(monkeypatch: pytest.MonkeyPatch, log_format: str, kind: str) -> None:
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    configure_logging(Settings(log_level="ERROR", log_format=log_format), io.StringIO())
    assert type(root.handlers[0].formatter).__name__ == kind
    assert root.level == logging.ERROR


def _events() -> set[str]:
    """The names of all events that our code logs."""
    found = set[str]()
    for folder in ("api", "lambdaqueue", "workers"):
        for path in ROOT.joinpath(folder).rglob("*.py"):
            text = path.read_text("utf-8")
            if "log = Log(" in text:
                found.update(_named(ast.parse(text)))
    return found


def _named(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS:
            name = node.args[1 if ast.unparse(node.func) == "_tell" else 0]
            assert isinstance(name, ast.Constant), ast.unparse(node)
            yield str(name.value)


def test_every_event_is_described() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    table = text.partition("## Logs")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == _events()


def test_events_have_names() -> None:
    assert all(re.fullmatch(r"[a-z_]+", event) for event in _events())
