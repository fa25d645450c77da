"""What users and endpoints sent, as text for a page: payloads, answers, names, errors.

Nothing here makes markup. Characters that have no shape, or that change the order of others, are
written as escapes, so that a text can't look like another one.
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass

from lambdaqueue import strict_json
from lambdaqueue.errors import RequestError
from lambdaqueue.media_types import is_json

__all__ = ["MOST_SHOWN", "Shown", "shown", "visible"]

MOST_SHOWN = 64 * 1024
"""Bytes of a payload that a page shows."""

PRETTY = 32 * 1024
"""Bytes of JSON that is worth being written on many lines."""

MOST_HEX = 4 * 1024
ROW = 16
"""Bytes of what is no text that a page shows, and in one line."""

DECODER = codecs.getincrementaldecoder("utf-8")

HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control, format and bidirectional characters, and halves of surrogate pairs."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Bytes as text. `kind` is json, text, hex or empty; `size` counts all of them.

    `cut`: there are more than are shown.
    """

    text: str
    kind: str
    size: int
    cut: bool = False


def visible(text: object) -> str:
    """Return `text` with everything escaped that could not be seen; line ends and tabs stay."""
    return HIDDEN.sub(_escape, str(text).replace("\r\n", "\n"))


def shown(data: bytes | None, content_type: str = "", *, limit: int = MOST_SHOWN) -> Shown:
    """Return bytes that somebody sent as they can be shown: JSON on many lines, text, or hex."""
    if not data:
        return Shown("", "empty", 0)
    if is_json(content_type) and len(data) <= min(limit, PRETTY):
        pretty = _pretty(data)
        if pretty is not None:
            return Shown(visible(pretty), "json", len(data))
    head = data[:limit]
    try:
        # A character that the limit has cut in two is left out.
        text = DECODER().decode(head, final=len(data) <= limit)
    except UnicodeDecodeError:
        return Shown(_hex(head[:MOST_HEX]), "hex", len(data), len(data) > MOST_HEX)
    return Shown(visible(text), "text", len(data), len(data) > limit)


def _pretty(data: bytes) -> str | None:
    """Write JSON on many lines, numbers to the digit; None where it's not strict JSON."""
    try:
        strict_json.parse(data)
        value = json.loads(data, parse_int=_Number, parse_float=_Number)
    except (RequestError, ValueError, RecursionError):
        return None
    return "".join(_lines(value, "\n"))


class _Number(str):
    """A number as it was written: 1.10 and 10000000000000000000000 stay so."""

    __slots__ = ()


def _lines(value: object, line: str) -> list[str]:
    inner = line + "  "
    if isinstance(value, dict) and value:
        rows = [[_quoted(name), ": ", *_lines(each, inner)] for name, each in value.items()]
        return ["{", *_joined(rows, inner), line, "}"]
    if isinstance(value, list) and value:
        return ["[", *_joined([_lines(each, inner) for each in value], inner), line, "]"]
    if isinstance(value, _Number):
        return [str(value)]
    return [_quoted(value)]


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _joined(rows: list[list[str]], line: str) -> list[str]:
    found: list[str] = []
    for number, row in enumerate(rows):
        found += ["," if number else "", line, *row]
    return found


def _hex(data: bytes) -> str:
    rows = []
    for start in range(0, len(data), ROW):
        row = data[start : start + ROW]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        rows.append(f"{start:08x}  {row.hex(' '):<{ROW * 3}} {text}")
    return "\n".join(rows)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
