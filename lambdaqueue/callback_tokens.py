"""Callback tokens: whoever has one may speak for one attempt of one execution.

`<execution>_<43 characters>`: the name leads to the execution, the rest are 256 random bits. Only
a digest of the whole is ever stored.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field

from lambdaqueue.ids import is_job_id

__all__ = ["CallbackToken"]

BITS = 256
CHANCE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class CallbackToken:
    """A token with the name of its execution. The text is secret."""

    execution: str
    text: str = field(repr=False)

    @classmethod
    def mint(cls, execution: str) -> CallbackToken:
        """Make a new token for one attempt of `execution`."""
        return cls(execution, f"{execution}_{secrets.token_urlsafe(BITS // 8)}")

    @classmethod
    def parse(cls, text: str) -> CallbackToken | None:
        """Read a token from a path; None where it can't be one."""
        execution, _, chance = text.partition("_")
        if not is_job_id(execution) or not CHANCE.fullmatch(chance):
            return None
        return cls(execution, text)

    @property
    def digest(self) -> str:
        """What is stored of it: SHA-256 in URL-safe base64."""
        digest = hashlib.sha256(self.text.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
