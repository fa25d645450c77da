"""Where the server's code is, and how its processes get to see it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lambdaqueue
from lambdaqueue.cli.failures import SERVER_MODULES, ServerNotInstalled
from lambdaqueue.errors import ConfigurationError

__all__ = ["import_from_server", "require_server", "server_env", "server_root"]


def server_root() -> Path:
    """Return the folder with the packages `api` and `workers`: the checkout, or the wheel's copy.

    Found from this package's own file, never from the working directory, where a user may have
    a folder named `api` of his own.

    Raises:
        ConfigurationError: this installation has neither.
    """
    package = Path(lambdaqueue.__file__).resolve().parent
    for root in (package / "_server", package.parent):
        if (root / "api").is_dir() and (root / "workers").is_dir():
            return root
    raise ConfigurationError(
        f"the installation in {package} has no server in it. "
        "Install it again: pip install --force-reinstall 'lambdaqueue[server]'"
    )


def server_env(env: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return `env` for a server process: `root` first on its path, its output not held back."""
    path = [str(root), *filter(None, [env.get("PYTHONPATH")])]
    return {**env, "PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


def require_server() -> None:
    """Check that the extra [server] is installed, without importing it.

    Raises:
        ServerNotInstalled: it is not; the message says how to.
    """
    for name in SERVER_MODULES:
        if importlib.util.find_spec(name) is None:
            raise ServerNotInstalled(name)


def import_from_server(module: str) -> Any:
    """Import a module of `api` or `workers` into this process, which is to run it."""
    root = str(server_root())
    if sys.path[0] != root:
        sys.path.insert(0, root)
    return importlib.import_module(module)
