"""Pages: what each page of the panel takes, beside a million items in ten thousand queues."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import unescape
from typing import Any

import requests

from api import create_app
from api.admin import again
from benchmarks.context import Context
from benchmarks.crowd import BIG, ENDED, KEY, Crowd, fill
from benchmarks.figures import Figure, at_most, percentile
from benchmarks.processes import BenchmarkFailed
from benchmarks.rig import ACTOR, ENVIRONMENT, Rig
from lambdaqueue import keys, overview
from lambdaqueue.account import EVERYWHERE, Role
from lambdaqueue.administration import Administration
from lambdaqueue.config import Settings
from lambdaqueue.identity import Author, Scope

__all__ = ["measure"]

TIMES = 15
TOKENS = 900
BOUND = 300.0
"""ms that a page may take, p95."""

NAME, PASSWORD = "jan", "correct horse battery"
ANEW = {"/metrics": 1.05, "/admin/e/default/overview": overview.FRESH + 0.05}
"""Seconds after which what was read is read anew."""

CSRF = re.compile(r'name="csrf" value="([^"]+)"')
NEXT = re.compile(r'<a href="([^"]+)" rel="next"')
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")

OPEN = frozenset({"/admin/static/<filename>", "/admin/<path:rest>", "/admin/first"})
"""Rules that are no pages; /first is one only until there is an account."""

LIVE = ("overview", f"queues/{BIG}", f"queues/{ENDED}/history", f"queues/{BIG}/items")

Get = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Samples:
    """What stands in paths for their arguments, and queries that make a page look elsewhere."""

    arguments: Mapping[str, str]
    queries: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, rig: Rig, crowd: Crowd) -> Samples:
        """Return samples of what is there: the largest of each kind, and pages far behind."""
        oldest = {kind: _oldest(rig, kind) for kind in "cf"}
        last = crowd.last_item
        return cls(
            arguments={
                "environment": "default",
                "queue": ENDED,
                "entry": f"f{oldest['f']}",
                "item_id": last.id,
                "schedule_id": crowd.schedule,
                "service": "service0",
                "job": "job0000",
                "account": NAME,
                "name": crowd.execution,
                "queue_name": keys.LINE_NAME,
                "registry_name": "queued",
                "per_page": "20",
                "order": "asc",
                "page": "1",
                "job_id": _in_line(rig),
            },
            queries={
                "E/overview": ["span=day"],
                "E/queues": [f"cursor=tenant{crowd.queues - 50:05}"],
                "E/queues/<queue:queue>/items": ["state=RETRY", "key=nothing", "since=2020-01-01"],
                "E/queues/<queue:queue>/history": [
                    "state=FAILED", "state=CANCELLED", f"key={KEY}", "key=nothing",
                    "until=2020-01-01", f"cursor={oldest['c']}-c",
                ],
                "E/search": [
                    f"q={KEY}", f"q={last.id}", "q=tenant0", "q=nothing", f"queue={BIG}",
                    "state=FAILED", "state=RUNNING", "state=RETRY", f"key={KEY}", "key=nothing",
                    "since=2020-01-01", "until=2020-01-01",
                ],
                "E/schedules": ["schedule=every(5m)&tz=UTC"],
            },
        )  # fmt: skip


def measure(context: Context) -> Sequence[Figure]:
    """One web process, one visitor; each page again and again."""
    with Rig.running(context.folder / "pages", context.server) as rig:
        crowd = fill(context, rig)
        with rig.web() as origin:
            _furnish(rig)
            browser = _signed_in(origin)
            pages = list(_pages(rig, crowd, browser, origin))
            found = _measured(browser, origin, pages, context.size(TIMES, 5))
    _tell(context, found)
    return _figures(found)


def _measured(
    browser: requests.Session, origin: str, pages: Sequence[tuple[str, str]], times: int
) -> dict[str, list[float]]:
    """Return the ms of each page by its name."""
    health = partial(browser.get, f"{origin}/health")
    found = {"GET /health": _timed(health, times * 5)}
    for name, url in pages:
        found[name] = _timed(partial(_load, browser, url), times)
    for part in LIVE:
        look = partial(_first_event, browser, f"{origin}/admin/e/default/{part}")
        found[f"first event of {part}"] = _timed(look, times // 3)
    for path, pause in ANEW.items():
        load = partial(_load, browser, origin + path)
        found[f"{path}, read anew"] = _timed(load, times // 3, pause=pause)
    found["GET /health, at the end"] = _timed(health, times * 5)
    return found


def _furnish(rig: Rig) -> None:
    administration = Administration(rig.client, Settings.from_env(rig.env))
    roles = {EVERYWHERE: Role.ADMIN}
    administration.signing_in().create(Author(ACTOR.name), NAME, PASSWORD, roles)
    for number in range(TOKENS):
        administration.issue_token(ACTOR, f"token{number}", frozenset({Scope.READ}))


def _signed_in(origin: str) -> requests.Session:
    browser = requests.Session()
    browser.trust_env = False
    form = CSRF.search(browser.get(f"{origin}/admin/sign-in").text)
    assert form is not None
    fields = {"csrf": form[1], "name": NAME, "password": PASSWORD}
    answer = browser.post(
        f"{origin}/admin/sign-in", fields, headers={"Origin": origin}, allow_redirects=False
    )
    if answer.status_code != 303:
        raise BenchmarkFailed(f"signing in was answered with {answer.status_code}")
    return browser


def _pages(
    rig: Rig, crowd: Crowd, browser: requests.Session, origin: str
) -> Iterator[tuple[str, str]]:
    """Yield name and URL of every page that the app routes, of its variants and next pages.

    Raises:
        BenchmarkFailed: a page has an argument of which there is no sample.
    """
    samples = Samples.of(rig, crowd)
    for rule in _rules(rig):
        missing = set(ARGUMENT.findall(rule)) - samples.arguments.keys()
        if missing:
            raise BenchmarkFailed(f"{rule}: what is a {', '.join(missing)}?")
        url = origin + ARGUMENT.sub(lambda found: samples.arguments[found[1]], rule)
        name = rule.removeprefix("/admin").replace("/e/<environment>", "E") or "/"
        yield name, url
        for query in samples.queries.get(name, ()):
            yield f"{name}?{query}", f"{url}?{query}"
        following = NEXT.search(_load(browser, url).text)
        if following:
            yield f"{name}, next page", origin + unescape(following[1])
    for part in ("", "/items", "/items?state=RETRY", f"/items?cursor={_deep(crowd)}"):
        yield f"E/queues/{BIG}{part}", f"{origin}/admin/e/default/queues/{BIG}{part}"


def _rules(rig: Rig) -> list[str]:
    app = create_app(Settings.from_env(rig.env))
    found = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.rule.split("/")[1] == "admin"
        and "GET" in (rule.methods or ())
        and not again.leads(rule)
    }
    return sorted(found - OPEN)


def _load(browser: requests.Session, url: str) -> requests.Response:
    answer = browser.get(url, allow_redirects=False)
    if answer.status_code not in (200, 302, 303, 308):
        raise BenchmarkFailed(f"{url} was answered with {answer.status_code}")
    return answer


def _first_event(browser: requests.Session, url: str) -> None:
    headers = {"Accept": "text/event-stream"}
    with browser.get(url, headers=headers, stream=True) as answer:
        if not next(answer.iter_lines()).startswith(b"event: parts"):
            raise BenchmarkFailed(f"{url} has no live part")


def _oldest(rig: Rig, kind: str) -> str:
    rows: Any = rig.client.xrange(keys.history(ENVIRONMENT, ENDED, kind), count=1)
    return str(rows[0][0].decode())


def _in_line(rig: Rig) -> str:
    """Return an RQ job: what begins an execution is in the line."""
    found: Any = rig.client.lindex(keys.line, 0)
    if found is None:
        raise BenchmarkFailed("the line is empty")
    return str(found.decode())


def _deep(crowd: Crowd) -> str:
    """Return the cursor of a page right before the end of the largest queue."""
    last = crowd.last_item
    return f"w0.{last.due_at - 5}.{last.id}"


def _timed(act: Get, times: int, *, pause: float = 0.0) -> list[float]:
    act()
    taken = []
    for _ in range(times):
        time.sleep(pause)
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1_000)
    return taken


def _tell(context: Context, found: Mapping[str, Sequence[float]]) -> None:
    for name, values in found.items():
        p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
        verdict = "ok" if p95 <= BOUND else f"OVER {BOUND:.0f} ms"
        context.tell(f"{name:70} {p50:7.1f} {p95:7.1f} ms  {verdict}")


def _figures(found: Mapping[str, Sequence[float]]) -> list[Figure]:
    return [
        Figure(f"{name}, {told}", "ms", [percentile(values, part)], at_most(BOUND))
        for name, values in found.items()
        for told, part in (("p50", 0.5), ("p95", 0.95))
    ]
