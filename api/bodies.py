"""Request bodies: read once, up to a limit, and only in the types that are taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from api.access import confirm_identity
from lambdaqueue import strict_json
from lambdaqueue.errors import UnreadableRequest
from lambdaqueue.media_types import MEDIA_TYPE, is_json

__all__ = [
    "JsonBody",
    "content_type",
    "read_body",
    "read_object",
    "read_optional_object",
]


class JsonBody(NamedTuple):
    """A JSON body: its bytes, and the object they say."""

    raw: bytes
    value: dict[str, Any]


def read_body(limit: int) -> bytes:
    """Return the request's body.

    Raises:
        RequestEntityTooLarge: it has more than `limit` bytes; a declared length is believed
            before anything is read, a chunked body is cut there.
        UnreadableRequest: the connection broke off, came too slowly or is framed wrongly.
    """
    length = request.content_length
    if length is None and not request.environ.get("wsgi.input_terminated"):
        return b""
    if length is not None and length > limit:
        raise _too_large(limit)
    body = b"".join(_chunks(limit + 1 if length is None else length))
    confirm_identity()
    if len(body) > limit:
        raise _too_large(limit)
    if length is not None and len(body) < length:
        raise UnreadableRequest("incomplete_body", "The body ended too early or came too slowly.")
    return body


def read_object(limit: int) -> JsonBody:
    """Return the JSON object in the request's body; raises as `strict_json.parse_object`."""
    if not is_json(content_type()):
        raise UnsupportedMediaType("The body must be application/json.")
    raw = read_body(limit)
    return JsonBody(raw, strict_json.parse_object(raw))


def read_optional_object(limit: int) -> JsonBody:
    """Return the JSON object in the body, an empty one where there is neither body nor type."""
    if not request.environ.get("CONTENT_TYPE") and not read_body(limit):
        return JsonBody(b"", {})
    return read_object(limit)


def content_type() -> str:
    """Return the body's Content-Type; raises UnsupportedMediaType without a proper one."""
    if request.environ.get("HTTP_CONTENT_ENCODING"):
        raise UnsupportedMediaType("A body with Content-Encoding is not taken.")
    given = request.environ.get("CONTENT_TYPE", "")
    if not MEDIA_TYPE.fullmatch(given):
        raise UnsupportedMediaType("A Content-Type like application/json is needed.")
    return str(given)


def _chunks(wanted: int) -> Iterator[bytes]:
    stream = request.environ["wsgi.input"]
    while wanted > 0:
        try:
            chunk = stream.read(wanted)
        # Every server has its own errors for broken chunks and connections.
        except Exception as error:
            raise UnreadableRequest("incomplete_body", "The body can't be read.") from error
        if not chunk:
            return
        wanted -= len(chunk)
        yield chunk


def _too_large(limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"The body has more than {limit} bytes.")
