"""setup.cfg lists the packages by hand, because find: can't map folders; so hold it to them."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _setup() -> ConfigParser:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def _packages(folder: str) -> set[str]:
    inits = (ROOT / folder).rglob("__init__.py")
    return {".".join(path.parent.relative_to(ROOT).parts) for path in inits}


def test_every_package_is_in_the_wheel() -> None:
    listed = set(_setup()["options"]["packages"].split())
    server = {f"lambdaqueue._server.{name}" for name in _packages("api") | _packages("workers")}
    # The folder of the Lua files is one with or without a module in it.
    assert listed == _packages("lambdaqueue") | server | {"lambdaqueue.scripts"}


def test_every_file_that_is_no_module_is_in_the_wheel() -> None:
    patterns = _setup()["options.package_data"]["*"].split()
    folders = [ROOT / folder for folder in ("lambdaqueue", "api", "workers")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    data = [path for path in files if path.suffix not in (".py", ".pyc")]
    missing = [str(path) for path in data if not any(_matches(path, p) for p in patterns)]
    assert missing == []


def test_the_console_script_is_the_command() -> None:
    scripts = _setup()["options.entry_points"]["console_scripts"]
    assert scripts.strip() == "lambdaqueue = lambdaqueue.cli:main"


def _matches(path: Path, pattern: str) -> bool:
    folder = pattern.partition("/")[0]
    return folder in path.parts if "/" in pattern else path.match(pattern)
