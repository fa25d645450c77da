"""The duty that looks for what an operator should know."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lambdaqueue.alerts import AlertStore
from lambdaqueue.config import Settings
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.upkeep import Upkeep
from tests.store.world import NOW, World
from workers.alerting import Alerting

TARGET = "https://hooks.example.org/operator"
SETTINGS = Settings(alert_target=TARGET)


def duty(world: World, **settings: Any) -> Alerting:
    store = AlertStore(world.client, NOW)
    return Alerting(store, Upkeep(world.client, NOW), replace(SETTINGS, **settings))


def test_no_worker_is_told_at_the_second_look_and_once_when_it_is_over(world: World) -> None:
    alerting = duty(world)
    for _ in range(3):
        alerting.poll()
    assert AlertStore(world.client).known() == {"no_worker"}
    worker = world.worker(50)
    alerting.poll()
    alerting.poll()
    bodies = [json.loads(claim.spec.payload) for claim in worker.claim()]
    assert [body["type"] for body in bodies] == ["alert", "alert.over"]
    assert "no worker" in bodies[0]["text"]


def test_without_a_target_nothing_is_looked_at(world: World) -> None:
    alerting = duty(world, alert_target="")
    for _ in range(3):
        alerting.poll()
    assert AlertStore(world.client).known() == set()


def test_people_get_a_line_of_text(world: World) -> None:
    alerting = duty(world, alert_format="slack")
    for _ in range(2):
        alerting.poll()
    (claim,) = world.worker().claim()
    assert json.loads(claim.spec.payload).keys() == {"text"}
    assert (claim.queue, claim.target) == ("alerts", TARGET)


def test_a_full_redis_holds_up_no_other_duty(world: World) -> None:
    alerting = duty(world)
    alerting.poll()
    world.client.config_set("maxmemory", 1)
    try:
        assert alerting.poll() > 0
    finally:
        world.client.config_set("maxmemory", 0)
    alerting.poll()
    assert AlertStore(world.client).known() == {"no_worker"}


@pytest.mark.parametrize(
    "target", ["http://hooks.example.org/", "https://10.0.0.1/", "https://a.internal/x"]
)
def test_a_target_that_could_not_be_called_is_refused_at_the_start(target: str) -> None:
    with pytest.raises(ConfigurationError, match="LQ_ALERT_TARGET") as caught:
        Settings.from_env({"LQ_ALERT_TARGET": target})
    assert target not in str(caught.value)
