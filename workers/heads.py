"""The head of an answer, read from the lines that libcurl saw.

Source: RFC 9112 (messages), RFC 9110, section 5 (fields).
"""

from __future__ import annotations

__all__ = ["BadHead", "read_head"]


class BadHead(Exception):
    """Raised when the head of an answer is beyond the bounds or contradicts itself."""


def read_head(lines: list[bytes]) -> tuple[int, dict[str, str]]:
    """Return status and headers of the final answer; a header sent twice is joined by commas.

    `lines` is all that libcurl saw as head: interim (1xx) answers before it, trailers after.
    """
    status, headers, ended = 0, dict[str, str](), False
    for line in lines:
        if line.startswith(b"HTTP/"):
            status, headers, ended = int(line[9:12]), {}, False
        elif len(line) <= len(b"\r\n"):
            ended = True
        elif not ended:
            _add(headers, line.decode("latin-1"))
    if not ended:
        raise BadHead("the head ended too early")
    if not 100 <= status <= 599:
        raise BadHead("the status is not between 100 and 599")
    return status, headers


def _add(headers: dict[str, str], line: str) -> None:
    name, _, value = line.partition(":")
    name, value = name.strip().lower(), value.strip()
    before = headers.setdefault(name, value)
    if before is value:
        return
    if name != "content-length":
        headers[name] = f"{before}, {value}"
    elif before != value:
        raise BadHead("two different Content-Length")
