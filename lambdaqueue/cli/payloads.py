"""Payloads on the command line: JSON as it stands, `@FILE`, or `-` for stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lambdaqueue.cli.failures import UsageError

__all__ = ["JSON_TYPE", "read_payload"]

JSON_TYPE = "application/json"


def read_payload(data: str, content_type: str | None) -> bytes:
    """Return the bytes that `--data` means; of a type that was given they are taken as they are.

    Raises:
        UsageError: the file can't be read, or it is no JSON.
    """
    payload = _payload(data)
    if content_type is None:
        _check(payload)
    return payload


def _payload(data: str) -> bytes:
    if data == "-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"{data[1:]} can't be read: {error.strerror}") from error


def _check(payload: bytes) -> None:
    """Catch a slip of the shell's quotes."""
    try:
        json.loads(payload)
    except ValueError as error:
        raise UsageError(
            f"--data is no JSON ({error}). Send it as what it is: --content-type text/plain"
        ) from error
