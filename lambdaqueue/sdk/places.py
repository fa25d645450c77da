"""Where a queue's jobs go: its name, its path in this application, its target. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.rendering.paths import check_queue_name
from lambdaqueue.sdk.settings import Settings

__all__ = ["Place", "absolute", "resolved"]

FOLLOW_UPS = ("on_success", "on_failure")


@dataclass(frozen=True, slots=True)
class Place:
    """A queue's name, and the path or URL of what does its jobs, if it's known here."""

    name: str
    target: str | None = None

    @classmethod
    def of(cls, path_or_name: str, target: str | None = None) -> Place:
        """Read what `LambdaQueue.queue` was given: "/welcome" is the path of the queue "welcome".

        Raises:
            ValueError: it is neither a path nor a queue's name.
        """
        try:
            name = check_queue_name(path_or_name.removeprefix("/"))
        except InvalidRequest as error:
            raise ValueError(
                f"{path_or_name!r} can't be a queue: its name {error.issues[0].message}. A path "
                'that isn\'t can be the target of one with a name: queue("name", target="/path")'
            ) from None
        if target is None and path_or_name.startswith("/"):
            return cls(name, path_or_name)
        return cls(name, target)

    @property
    def path(self) -> str | None:
        """The path of its endpoint, without a query; None where that isn't known here."""
        return None if self.target is None else urlsplit(self.target).path or "/"

    def urls(self, settings: Settings) -> tuple[str, ...]:
        """Return every URL that its endpoint is known by; perhaps none."""
        if self.target is None:
            return ()
        if not self.target.startswith("/"):
            return (self.target,)
        return tuple(url + self.target for url in settings.base_urls())

    def fill(self, options: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
        """Return a push's options with the URL to call, and what it takes to get there.

        Raises:
            ConfigurationError: the target is a path, and this application's URL isn't known.
        """
        target = options.get("target") or self.target
        if target is None:
            return absolute(options, settings)
        given = absolute({**options, "target": target}, settings)
        bypass = settings.bypass_headers(given["target"])
        return {**given, "headers": {**bypass, **given.get("headers", {})}} if bypass else given


def absolute(options: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return options with URLs in place of paths: the target's, and those of follow-ups.

    Raises as `resolved`.
    """
    found = dict(options)
    if isinstance(found.get("target"), str):
        found["target"] = resolved(found["target"], settings)
    for name in FOLLOW_UPS:
        wanted = found.get(name)
        if isinstance(wanted, Mapping) and isinstance(wanted.get("target"), str):
            found[name] = {**wanted, "target": resolved(wanted["target"], settings)}
    return found


def resolved(target: str, settings: Settings) -> str:
    """Return the URL that `target`, a URL or a path of this application, stands for.

    Raises:
        ConfigurationError: it's a path, and this application's URL isn't known.
    """
    return settings.base_url() + target if target.startswith("/") else target
