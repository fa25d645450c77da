"""Which targets an app takes: its operator's rules, wherever a target is given."""

from __future__ import annotations

import dataclasses

import pytest

from api import create_app
from lambdaqueue.addresses import AddressRules
from lambdaqueue.config import Settings
from tests.api.conftest import Api, paths

TARGETS = [
    # target, allowed in production, with 10.0.0.0/8 opened, in development
    ("https://example.org/x?y=1", True, True, True),
    ("https://example.org:8443/", True, True, True),
    ("https://10.1.2.3/", False, True, False),
    ("http://10.1.2.3/", False, False, False),
    ("http://127.0.0.1:9000/", False, False, True),
    ("https://localhost/", False, False, True),
    ("http://example.org/", False, False, False),
    ("https://example.org:9000/", False, False, False),
    ("https://169.254.169.254/latest/", False, False, False),
]


@pytest.mark.parametrize(("target", "production", "opened", "development"), TARGETS)
def test_targets(
    settings: Settings, target: str, production: bool, opened: bool, development: bool
) -> None:
    """B73: each app of a process has its own rules, whatever another one has just read."""
    public = dataclasses.replace(settings, development=False, trusted_hosts=("localhost",))
    lan = dataclasses.replace(public, addresses=AddressRules.parse(["10.0.0.0/8"]))
    apps = [
        (Api(create_app(public)), production),
        (Api(create_app(lan)), opened),
        (Api(create_app(settings)), development),
    ]
    for api, allowed in [*apps, *reversed(apps)]:
        answers = (
            (api.push(target=target), ["x-lq-target"]),
            (api.batch({"payload": 1, "target": target}), ["items", 0, "target"]),
            (api("PUT", "/queues/mail", json={"target": target}), ["target"]),
        )
        for answer, path in answers:
            assert (answer.status_code < 300) is allowed, answer.text
            assert paths(answer) == ([] if allowed else [path])
