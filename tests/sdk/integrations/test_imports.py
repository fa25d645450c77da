"""An integration needs its own framework and no other; requests only when something is pushed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

OTHERS = {
    "aiohttp",
    "django",
    "fastapi",
    "flask",
    "functions_framework",
    "marshmallow",
    "redis",
    "requests",
    "rq",
    "starlette",
    "werkzeug",
}

NEEDS = {
    "asgi": set(),
    "aws_lambda": set(),
    "django": {"django"},
    "flask": {"flask", "werkzeug"},
    "google_cloud": {"flask", "werkzeug"},
    "routes": set(),
    "starlette": {"starlette"},
    "vercel": set(),
    "wsgi": set(),
}

PROGRAM = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None  # Importing it fails now.
from lambdaqueue import LambdaQueue
queue = LambdaQueue(env={{}}).queue("/welcome")
queue.handler(lambda payload, job: None)
import lambdaqueue.integrations.{name}
"""


@pytest.mark.parametrize("name", NEEDS)
def test_it_imports_nothing_else(name: str) -> None:
    program = PROGRAM.format(blocked=sorted(OTHERS - NEEDS[name]), name=name)
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
