"""setup.cfg lists the packages by hand, because find: can't map folders; so hold it to them."""

from __future__ import annotations

from configparser import ConfigParser
from glob import glob
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
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    data = {path for path in files if path.suffix not in (".py", ".pyc")}
    packages = [path.parent for folder in folders for path in folder.rglob("__init__.py")]
    # As setuptools does it: below each package, and no further unless it's said by **.
    packed = {
        package / found
        for package in packages
        for pattern in patterns
        for found in glob(pattern, root_dir=package, recursive=True)
    }
    assert data - packed == set()


def test_the_console_script_is_the_command() -> None:
    scripts = _setup()["options.entry_points"]["console_scripts"]
    assert scripts.strip() == "lambdaqueue = lambdaqueue.cli:main"
