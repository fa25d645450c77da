"""What users and endpoints sent, as a page shows it: text, and nothing but text."""

from __future__ import annotations

import json

import pytest

from api.admin import charts
from api.admin.texts import MOST_SHOWN, Shown, shown, visible
from api.admin.views import ago, count, duration, size
from tests.api.admin.conftest import NASTY

JSON = "application/json"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain é \U0001f600\n\ttext", "plain é \U0001f600\n\ttext"),
        ("a\r\nb\rc", "a\nb\\x0dc"),
        ("\x00\x1b[31m\x7f\x85\xad", "\\x00\\x1b[31m\\x7f\\x85\\xad"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u200bb\u2066\ufeff", "a\\u200bb\\u2066\\ufeff"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),
        ("<b>&'\"", "<b>&'\""),  # markup is the template's business
        (12, "12"),
    ],
)
def test_visible(text: object, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize(
    ("data", "kind", "result"),
    [
        (None, "", Shown("", "empty", 0)),
        (b"", JSON, Shown("", "empty", 0)),
        (b'{"b":1,"a":[]}', JSON, Shown('{\n  "b": 1,\n  "a": []\n}', "json", 14)),
        (b"[1.10,1e40,-0]", JSON, Shown("[\n  1.10,\n  1e40,\n  -0\n]", "json", 14)),
        (b"12345678901234567890123", JSON, Shown("12345678901234567890123", "json", 23)),
        (b'{"a":1,"a":2}', JSON, Shown('{"a":1,"a":2}', "text", 13)),  # not strict
        (b'"\xe2\x80\xae"', JSON, Shown('"\\u202e"', "json", 5)),
        (b'{"a":1}', "text/plain", Shown('{"a":1}', "text", 7)),
        ("é".encode(), "text/plain", Shown("é", "text", 2)),
        (b"\xffab", "image/png", Shown(f"{0:08x}  {'ff 61 62':<48} .ab", "hex", 3)),
        (b"[" * 100_000, JSON, Shown("[" * MOST_SHOWN, "text", 100_000, True)),
    ],
    ids=range(11),
)
def test_shown(data: bytes | None, kind: str, result: Shown) -> None:
    assert shown(data, kind) == result


def test_a_character_on_the_limit_is_left_out_whole() -> None:
    found = shown("aé".encode() * 100, "text/plain", limit=8)
    assert (found.text, found.kind, found.cut) == ("aéaéa", "text", True)
    assert shown(b"a" * 7 + b"\xff" + b"a" * 9, "text/plain", limit=8).kind == "hex"


def test_deep_json_is_no_error() -> None:
    data = b"[" * 10_000 + b"]" * 10_000
    assert shown(data, JSON).kind == "text"


@pytest.mark.parametrize("text", NASTY)
def test_a_string_in_json_stays_one(text: str) -> None:
    data = json.dumps({text: [text]}).encode()
    found = shown(data, JSON)
    assert found.kind == "json"
    assert json.loads(found.text.replace("\\x1b", "\\u001b")) == {text: [text]}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], []),
        ([0, None, -1], []),
        ([1, 2], [("0", "14", "48", "14"), ("60", "1", "48", "27")]),
        ([1, 1_000_000], [("0", "27", "48", "1"), ("60", "1", "48", "27")]),
    ],
)
def test_bars(values: list[int | None], found: list[tuple[str, ...]]) -> None:
    assert charts.bars(values) == found


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (count(0), "0"),
        (count(1_234_567), "1\u202f234\u202f567"),
        (duration(0), "0 ms"),
        (duration(999), "999 ms"),
        (duration(1_000), "1 s"),
        (duration(1_250), "1.2 s"),
        (duration(61_000), "1 min"),
        (duration(90_000_000), "1 d"),
        (size(0), "0 B"),
        (size(1_023), "1023 B"),
        (size(1_024), "1 KiB"),
        (size(1_536), "1.5 KiB"),
        (size(3 * 1_024**2), "3 MiB"),
        (size(5 * 1_024**5), "5120 TiB"),
        (ago(1_000, 1_500), "now"),
        (ago(1_000, 4_000), "3 s ago"),
        (ago(3_605_000, 5_000), "in 1 h"),
    ],
)
def test_words(made: str, text: str) -> None:
    assert made == text
