"""What manages an environment: tokens, the signature secret, the audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from lambdaqueue.sdk.calling import path_of
from lambdaqueue.sdk.connection import Connection
from lambdaqueue.sdk.durations import Duration, instant, milliseconds
from lambdaqueue.sdk.options import Retry, as_json

__all__ = ["Administration"]

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Administration:
    """Thin calls that return the API's JSON; the token needs the scope `manage`.

    Every call raises `ApiError`.
    """

    connection: Connection

    def tokens(self) -> Iterator[Json]:
        """Yield the tokens, without what makes them valid."""
        return self.connection.api.pages("/tokens", "tokens")

    def issue_token(
        self,
        name: str,
        scopes: Iterable[Literal["push", "read", "manage"]],
        *,
        expires: datetime | None = None,
    ) -> Json:
        """Make a token; its text is in `["token"]`, this once.

        It isn't repeated when no answer comes: look at `tokens()` then.

        Raises:
            Conflict: the name is taken.
        """
        body: dict[str, Any] = {"name": name, "scopes": list(scopes)}
        if expires is not None:
            body["expires"] = instant(expires)
        return _object(self.connection.api.call("POST", "/tokens", json=body).json)

    def revoke_token(self, id: str) -> None:
        """Make a token worthless at once."""
        self.connection.api.call("DELETE", path_of("tokens", id))

    def secret(self) -> Json:
        """Return the signature secret, and the previous one while that still signs."""
        return _object(self.connection.api.get("/secret"))

    def rotate_secret(self, *, overlap: Duration | None = None) -> Json:
        """Make a new secret; the old one signs too for `overlap` (a day where it isn't given).

        Raises:
            Conflict: an older one still counts.
        """
        body = {} if overlap is None else {"overlap": milliseconds(overlap)}
        return _object(self.connection.api.call("POST", "/secret/rotate", json=body).json)

    def audit(self) -> Iterator[Json]:
        """Yield who changed what, newest first."""
        return self.connection.api.pages("/audit", "entries")

    def environment(self) -> Json:
        """Return the environment's id, name and default retry policy."""
        return _object(self.connection.api.get("/environment"))

    def set_retry(self, retry: Retry | None) -> Json:
        """Set the environment's default retry policy; None sets it back."""
        body = as_json({"retry": retry})
        return _object(self.connection.api.call("PATCH", "/environment", json=body).json)


def _object(answer: Any) -> Json:
    assert isinstance(answer, Mapping)
    return answer
