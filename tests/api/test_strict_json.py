"""JSON hygiene: rows B01 to B29 of the fault table, without HTTP."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaqueue.errors import InvalidRequest, UnreadableRequest
from lambdaqueue.strict_json import dumps, parse, parse_object


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + "0" + closing * depth).encode()


def nested_objects(depth: int) -> bytes:
    return nested(depth, '{"a":', "}")


UNREADABLE = {
    "B01 empty": (b"", "bad_json"),
    "B02 word": (b"hello", "bad_json"),
    "B06 NaN": (b'{"k":NaN}', "bad_json"),
    "B06 Infinity": (b'{"k":Infinity}', "bad_json"),
    "B06 -Infinity": (b'{"k":-Infinity}', "bad_json"),
    "B09 4 301 digits": (b'{"k":' + b"1" * 4_301 + b"}", "bad_json"),
    "B09 negative": (b'{"k":-' + b"1" * 4_301 + b"}", "bad_json"),
    "B11 duplicate": (b'{"k":1,"k":1}', "duplicate_key"),
    "B11 duplicate below": (b'{"a":[{"k":1,"\\u006b":2}]}', "duplicate_key"),
    "B15 control": (b'{"k":"a\x01b"}', "bad_json"),
    "B15 newline": (b'{"k":"a\nb"}', "bad_json"),
    "B16 not UTF-8": (b'{"k":"\xff"}', "bad_json"),
    "B16 overlong": (b'{"k":"\xc0\xaf"}', "bad_json"),
    "B16 surrogate": (b'{"k":"\xed\xa0\x80"}', "bad_json"),
    "B17 UTF-16": ('{"k":1}'.encode("utf-16"), "bad_json"),
    "B17 UTF-16 without mark": ('{"k":1}'.encode("utf-16-le"), "bad_json"),
    "B17 UTF-8 mark": (b'\xef\xbb\xbf{"k":1}', "bad_json"),
    "B27 trailing": (b'{"k":1} x', "bad_json"),
    "B27 two": (b'{"k":1}{"k":1}', "bad_json"),
    "B27 comment": (b'{"k":1 /* no */}', "bad_json"),
    "B27 single quotes": (b"{'k':1}", "bad_json"),
    "B27 comma": (b'{"k":1,}', "bad_json"),
    "B27 comma in list": (b"[1,]", "bad_json"),
    "leading zero": (b"[01]", "bad_json"),
    "plus": (b"[+1]", "bad_json"),
    "bare point": (b"[.5]", "bad_json"),
    "form feed as space": (b"\x0c[1]", "bad_json"),
    "no-break space": (b"\xc2\xa0[1]", "bad_json"),
    "Arabic digits": ("[\u0661]".encode(), "bad_json"),
}

INVALID = {
    "B07 1e999": (b'{"k":1e999}', "number_range"),
    "B07 1E400000000": (b'{"k":1E400000000}', "number_range"),
    "B07 -1e999": (b'{"k":-1e999}', "number_range"),
    "B08 4 300 digits": (b'{"k":' + b"1" * 4_300 + b"}", "number_range"),
    "B12 surrogate": (rb'{"k":"\ud800"}', "bad_unicode"),
    "B12 low before high": (rb'{"k":"\udc00\ud800"}', "bad_unicode"),
    "B13 surrogate key": (rb'{"\uDFFF":1}', "bad_unicode"),
    "B14 NUL in a name": (rb'{"a":[{"a\u0000b":1}]}', "bad_name"),
    "B18 500": (nested(500), "too_deep"),
    "B19 1 000": (nested(1_000), "too_deep"),
    "B19 100 000": (nested(100_000), "too_deep"),
    "B19 objects": (nested_objects(20_000), "too_deep"),
    "65": (nested(65), "too_deep"),
    "65 objects": (nested_objects(65), "too_deep"),
    "B20 70 000 keys": (json.dumps({str(i): 0 for i in range(70_000)}).encode(), "too_many_keys"),
    "1 001 keys": (json.dumps({str(i): 0 for i in range(1_001)}).encode(), "too_many_keys"),
    "100 100 keys in all": (
        json.dumps([{str(i): 0 for i in range(1_000)} for _ in range(101)]).encode(),
        "too_many_keys",
    ),
    "B29 float of 100 000 digits": (b"[0." + b"1" * 100_000 + b"]", "number_range"),
}


@pytest.mark.parametrize(("body", "code"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable(body: bytes, code: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        parse(body)
    assert caught.value.code == code


@pytest.mark.parametrize(("body", "code"), INVALID.values(), ids=INVALID.keys())
def test_readable_but_refused(body: bytes, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    assert [issue.code for issue in caught.value.issues] == [code]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (nested_objects(64), None),
        (nested(64), None),
        (b" [1] \n", [1]),
        (b"9007199254740993", 2**53 + 1),  # B10: no double holds it
        (b"1" * 308, int("1" * 308)),
        (b"-" + b"1" * 308, -int("1" * 308)),
        (b"[1.5,-0.0,1e308]", [1.5, -0.0, 1e308]),
        (rb'"a\u0000b"', "a\0b"),  # B14: kept in values
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\\ud800"', "\\ud800"),
        (rb'{"\\u0000":1}', {"\\u0000": 1}),
        (b'{"__proto__":{"a":1},"constructor":2}', {"__proto__": {"a": 1}, "constructor": 2}),
        (b"null", None),
        (b'{"b":1,"a":2}', {"b": 1, "a": 2}),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_kept(body: bytes, value: Any) -> None:
    parsed = parse(body)
    if value is not None:
        assert parsed == value
    assert type(parsed) is type(value) or value is None


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"true"])
def test_objects_only(body: bytes) -> None:
    """B03 to B05."""
    with pytest.raises(InvalidRequest) as caught:
        parse_object(body)
    assert caught.value.issues[0].code == "not_object"


def test_a_huge_integer_is_refused_fast() -> None:
    """B09: reading 900 000 digits as a number would take seconds."""
    body = b'{"k":' + b"7" * 900_000 + b"}"
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        with pytest.raises(UnreadableRequest):
            parse(body)
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.005


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text().filter(lambda name: "\0" not in name), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_what_is_written_reads_the_same(value: Any) -> None:
    assert parse(dumps(value)) == value
    assert parse(json.dumps(value, indent=1).encode()) == value


@given(
    st.binary(max_size=40) | st.text(alphabet='[]{}",:\\ud80eE+-.0123nulltrue \n').map(str.encode)
)
def test_nothing_else_is_raised(body: bytes) -> None:
    try:
        value = parse(body)
    except (UnreadableRequest, InvalidRequest):
        return
    assert json.loads(body) == value
    assert not (isinstance(value, float) and math.isnan(value))


def test_compact() -> None:
    assert dumps({"b": [1, 2], "a": "é"}) == '{"b":[1,2],"a":"é"}'.encode()
