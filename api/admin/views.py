"""What templates can use: who looks, filters for times and numbers, live parts."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, request, url_for

from api.admin import assets, charts, forms, guard, live, session, texts
from api.current import parts
from lambdaqueue import __version__, instants

__all__ = ["ago", "clock", "count", "duration", "install", "size"]

MOST_LISTED = 50
"""Environments in the switch; their own page has all."""

SIZES = ("KiB", "MiB", "GiB", "TiB")
UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


def install(app: Flask, panel: Blueprint) -> None:
    """Let the templates of `panel` have all that."""

    def asset(name: str) -> str:
        return url_for("admin.static", filename=name, v=assets.version())

    @panel.context_processor
    def what_pages_know() -> dict[str, Any]:
        found = session.found()
        return {
            "asset": asset,
            "allows": session.allows,
            "charts": charts,
            "csrf": found.csrf if found else guard.nonce(),
            "environments": lambda: session.environments()[:MOST_LISTED],
            "here": session.here(),
            "is_recent": found is not None and guard.was_proved(found),
            "issues": {},
            "live": live.part,
            "me": found,
            "now": int(time.time() * 1_000),
            "public_url": parts().settings.public_url,
            "said": forms.said,
            "section": "",
            "version": __version__,
            "with_query": with_query,
        }

    panel.after_request(forms.forget_said)
    filters = (ago, clock, count, duration, instants.iso, size, texts.visible)
    for each in filters:
        app.add_template_filter(each, each.__name__)


def with_query(**changes: object) -> str:
    """Return this page's path with its query, changed; None takes a parameter away."""
    query: dict[str, Any] = request.args.to_dict(flat=False)
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    values: dict[str, Any] = {**query, **(request.view_args or {})}
    return url_for(str(request.endpoint), **values)


def count(number: int) -> str:
    """Write a number with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def duration(ms: float) -> str:
    """Write a time: 250 ms, 1.2 s, 5 min, 3 h, 2 d."""
    if ms < 1_000:
        return f"{ms:.0f} ms"
    if ms < 10_000:
        return f"{ms / 1_000:.1f} s".replace(".0 ", " ")
    return _largest(ms)


def ago(ms: int, now: int | None = None) -> str:
    """Say how far an instant (Unix ms) is away: 3 min ago, in 5 s, now."""
    away = ms - (int(time.time() * 1_000) if now is None else now)
    if abs(away) < 1_000:
        return "now"
    return f"in {_largest(away)}" if away > 0 else f"{_largest(-away)} ago"


def clock(ms: int, zone: str) -> str:
    """Write what the clocks of a zone show at an instant (Unix ms): Mon 2026-03-02 09:00 CET."""
    return f"{datetime.fromtimestamp(ms // 1_000, ZoneInfo(zone)):%a %Y-%m-%d %H:%M %Z}"


def size(number: int) -> str:
    """Write bytes: 512 B, 1.5 KiB, 3 MiB."""
    if number < 1_024:
        return f"{number} B"
    power = min((number.bit_length() - 1) // 10, len(SIZES))
    return f"{number / 1_024**power:.1f} {SIZES[power - 1]}".replace(".0 ", " ")


def _largest(ms: float) -> str:
    for length, unit in UNITS:
        if ms >= length:
            return f"{int(ms // length)} {unit}"
    return f"{ms:.0f} ms"
