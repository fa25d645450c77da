"""docs/grafana.json and docs/prometheus-rules.yml ask for nothing that /metrics doesn't tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from lambdaqueue.attempts import Kind
from tests.api.conftest import Api
from tests.api.test_metrics import ask, samples_of
from tests.store.desk import Desk
from tests.store.world import World

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD: dict[str, Any] = json.loads(DOCS.joinpath("grafana.json").read_text("utf-8"))
RULES = DOCS.joinpath("prometheus-rules.yml").read_text("utf-8")
METRIC = re.compile(r"\blambdaqueue_\w+")
SELECTOR = re.compile(r"(lambdaqueue_\w+)\{([^}]*)\}")


def queries() -> Iterator[tuple[str, str, str]]:
    """Yield the title, query and legend of every target, and of every variable."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"], ""


def grouped_by(query: str) -> list[str]:
    return [label for each in re.findall(r"by \(([^)]*)\)", query) for label in each.split(", ")]


def alerts() -> Iterator[tuple[str, str, str]]:
    """Yield the name, the expression and the annotations of every alert."""
    for alert in re.split(r"^ +- alert: ", RULES, flags=re.MULTILINE)[1:]:
        name, _, rest = alert.partition("\n")
        expression, _, annotations = rest.partition("annotations:")
        yield name, expression, annotations


@pytest.fixture
def told(api: Api, redis_url: str) -> dict[str, set[str]]:
    """The labels of each name that is told, where everything has happened once."""
    with redis.Redis.from_url(redis_url) as client:
        world = World(client)
        worker = world.worker()
        desk = Desk.furnish(world)
        desk.fire()
        for kind in (Kind.COMPLETED, Kind.FAILED, Kind.RETRY):
            world.push()
            (claim,) = [each for each in worker.claim() if each.queue == "mail"]
            worker.settle(claim, kind, error="http_500: no", delay=60_000)
        found: dict[str, set[str]] = {}
        for sample in samples_of(ask(api).text):
            found.setdefault(sample.name, set()).update(sample.labels)
        world.close()
        return found


def test_every_query_finds_something(told: dict[str, set[str]]) -> None:
    for title, query, legend in queries():
        names = METRIC.findall(query)
        assert names, title
        assert set(names) <= told.keys(), title
        labels = set.union(*(told[name] for name in names))
        for name, selector in SELECTOR.findall(query):
            wanted = set(re.findall(r"(\w+)=~?\"", selector))
            assert wanted <= told[name], title
        grouped = grouped_by(query)
        assert set(grouped) <= labels, title
        kept = set(grouped) if grouped else labels - {"environment", "queue"}
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= kept, title
        assert query.count("(") == query.count(")"), title


def test_every_alert_asks_for_what_is_told(told: dict[str, set[str]]) -> None:
    found = list(alerts())
    assert len({name for name, *_ in found}) == RULES.count("alert:") == len(found) > 0
    for name, expression, texts in found:
        names = METRIC.findall(expression)
        assert names, name
        assert set(names) <= told.keys(), name
        labels = set.union(*(told[each] for each in names))
        for metric, selector in SELECTOR.findall(expression):
            assert set(re.findall(r"(\w+)=~?\"", selector)) <= told[metric], name
        assert set(grouped_by(expression)) <= labels, name
        assert set(re.findall(r"\$labels\.(\w+)", texts)) <= labels, name


def test_every_metric_is_shown(told: dict[str, set[str]]) -> None:
    shown = {name for _, query, _ in queries() for name in METRIC.findall(query)}
    left_out = {"lambdaqueue_build_info"}
    parts = ("_created", "_bucket", "_sum", "_count")
    assert {name for name in told if not name.endswith(parts)} - shown <= left_out


def test_it_can_be_imported() -> None:
    """Into any Grafana: it names no data source of ours, and its panels don't overlap."""
    assert "id" not in DASHBOARD
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken = set[tuple[int, int]]()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
