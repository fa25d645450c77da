"""Media types (RFC 9110, section 8.3.1): which there may be, and which of them are JSON."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["MEDIA_TYPE", "is_json"]

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"

MEDIA_TYPE = re.compile(rf"(?=.{{3,255}}\Z){_TOKEN}/{_TOKEN}(?:[ \t]*;[\t -~]*)?")
"""type/subtype with whatever parameters, printable ASCII."""


@lru_cache(maxsize=256)
def is_json(media_type: str) -> bool:
    """True for application/json and everything that ends in +json."""
    name = media_type.partition(";")[0].strip().lower()
    return name == "application/json" or name.endswith("+json")
