"""The SDK where nothing but requests is installed, and the names that `lambdaqueue` offers."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import lambdaqueue
from lambdaqueue import integrations, sdk

ROOT = Path(__file__).parents[2]

FRAMEWORKS = ("flask", "google_cloud", "django", "starlette")
"""Integrations that import a framework; the others import none."""

BARE = ("requests", "urllib3", "certifi", "idna", "charset_normalizer")
"""What `pip install lambdaqueue` brings."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like site-packages, with our package, requests and what that needs."""
    folder = tmp_path_factory.mktemp("bare")
    for name in ("lambdaqueue", *BARE):
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        (folder / name).symlink_to(Path(found.origin).parent)
    return folder


def _run(bare: Path, code: str) -> str:
    done = subprocess.run(
        # Without -S it would find what is installed beside.
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(bare), "PATH": os.environ["PATH"]},
        cwd=bare,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _modules(package: str, path: list[str]) -> list[str]:
    return [f"{package}.{found.name}" for found in pkgutil.iter_modules(path)]


def test_all_of_it_is_there_with_requests_alone(bare: Path) -> None:
    own = [
        name
        for name in _modules("lambdaqueue.integrations", list(integrations.__path__))
        if name.rpartition(".")[2] not in FRAMEWORKS
    ]
    names = [*_modules("lambdaqueue.sdk", list(sdk.__path__)), "lambdaqueue.testing", *own]
    assert len(names) > 25
    _run(bare, f"import importlib\nfor name in {names!r}: importlib.import_module(name)")
    with pytest.raises(AssertionError, match="No module named 'flask'"):
        _run(bare, "import lambdaqueue.integrations.flask")


def test_a_handler_and_a_push_work_with_requests_alone(bare: Path) -> None:
    out = _run(
        bare,
        """
import sys
from lambdaqueue import LambdaQueue, Delivery, Unreachable
lq = LambdaQueue("t", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "http://127.0.0.1:1", "http://x",
                 retries=0)
queue = lq.queue("/welcome")
queue.handler(lambda payload, job: None)
print(queue.endpoint.answer(Delivery("POST", {}, b"{}")).status, "requests" in sys.modules)
try:
    queue.push({})
except Unreachable:
    print("unreachable", "requests" in sys.modules)
""",
    )
    assert out.split() == ["401", "False", "unreachable", "True"]


def test_the_version_alone_imports_nothing_of_the_sdk(bare: Path) -> None:
    out = _run(
        bare,
        """
import json, sys
import lambdaqueue
lambdaqueue.__version__
print(json.dumps([name for name in sys.modules if name.startswith("lambdaqueue.")]))
""",
    )
    assert json.loads(out) == []


EXPORTED = """
    ApiError Attempt ConfigurationError Conflict Delivery DoNotRetry Endpoint Entry Execution
    ExecutionOver Forbidden InvalidRequest InvalidSignature Issue Item Job LambdaQueue
    LambdaQueueError MemoryGuard NotFound Push Queue QueueInfo ReplayGuard Reply Request
    RequestsTransport Response Result RetryLater Schedule Seen TooManyRequests Transport
    Unauthorized Unavailable UnexpectedAnswer Unreachable Working __version__
"""


def test_the_names_that_are_exported() -> None:
    assert lambdaqueue.__all__ == EXPORTED.split()
    assert set(lambdaqueue.__all__) <= set(dir(lambdaqueue))


@pytest.mark.parametrize("name", EXPORTED.split())
def test_each_name_is_what_type_checkers_see(name: str) -> None:
    """What is imported `if TYPE_CHECKING` is what is got at run time."""
    value = getattr(lambdaqueue, name)
    if name == "__version__":
        return
    tree = ast.parse(Path(lambdaqueue.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    module = typed[name]
    assert module is not None
    assert getattr(sys.modules[module], name) is value


def test_what_is_not_exported() -> None:
    with pytest.raises(AttributeError, match="module 'lambdaqueue' has no attribute 'Quue'"):
        _ = lambdaqueue.Quue  # type: ignore[attr-defined]


def test_types_are_there_for_applications() -> None:
    assert (Path(lambdaqueue.__file__).parent / "py.typed").exists()
