"""Which part of the in-memory server a path leads to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Concatenate

from lambdaqueue.rendering import paths
from lambdaqueue.rendering.service_paths import check_names, misnamed_service
from lambdaqueue.sdk.transport import Response
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.problems import NotInMemory, Refused

__all__ = ["Handler", "Route", "Router"]

Handler = Callable[Concatenate[Call, ...], Response]

PREFIX = "/api/v1"

PARTS: Mapping[str, str] = {
    "queue": paths.QUEUE,
    "key": paths.KEY,
    "schedule_key": paths.SCHEDULE_KEY,
}
"""What a name in a template stands for; any other is one part of a path."""

REAL_ONLY = re.compile(r"/(?:tokens|audit|secret/rotate|environment)(?:/.*)?")
"""Managing: nothing that an application does in its tests."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a template like `/items/{item}/run`, whose names are arguments of `handler`."""

    method: str
    template: str
    handler: Handler

    @property
    def pattern(self) -> re.Pattern[str]:
        """The expression that a whole path has to match."""
        named = re.sub(r"\{(\w+)\}", _part, re.sub(r"\.", r"\\.", self.template))
        # As with Flask, a slash at the end makes no difference but after a name that may have some.
        is_bounded = not any(f"{{{name}}}" in self.template for name in PARTS)
        return re.compile(named + ("/?" if is_bounded else ""), re.DOTALL)


class Router:
    """Finds the handler of a request; of several templates the first one counts."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, route.pattern) for route in routes]

    def answer(self, call: Call) -> Response:
        """Let the request's handler answer it.

        Raises:
            Refused: there is no such path, or it doesn't take this method.
            NotInMemory: only a real LambdaQueue takes it.
            RequestError: as the handler.
        """
        path = call.path.removeprefix(PREFIX)
        if path == call.path:
            raise NotInMemory(f"the in-memory LambdaQueue has nothing at {call.path}")
        known = [(route, found) for route, p in self._routes if (found := p.fullmatch(path))]
        for route, found in known:
            if route.method == call.method:
                names = found.groupdict()
                _check_names(names)
                return route.handler(call, **names)
        if known:
            raise misnamed_service(call.path) or Refused(405)
        raise _lost(call, path)


def _check_names(names: Mapping[str, str]) -> None:
    if "queue" in names:
        paths.check_queue_name(names["queue"])
    check_names(*(names[name] for name in ("service", "job") if name in names))


def _lost(call: Call, path: str) -> Exception:
    misnamed = paths.misnamed_queue(call.path) or misnamed_service(call.path)
    if misnamed is not None:
        return misnamed
    if REAL_ONLY.fullmatch(path):
        return NotInMemory(
            f"{call.method} {path} is for a real LambdaQueue: the in-memory one has no tokens, "
            "no audit, and one secret that never changes"
        )
    return Refused(404)


def _part(found: re.Match[str]) -> str:
    return f"(?P<{found[1]}>{PARTS.get(found[1], '[^/]+')})"
