"""Build the API reference from the docstrings: `make docs`, or
`python docs/reference FOLDER`.

`MODULES` is what has a page. A class shows what it inherits from ours as its own: that `push` comes
from a base class of `Queue` is nothing to its reader.
"""

from __future__ import annotations

import pkgutil
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pdoc.doc
import pdoc.render

import lambdaqueue
from lambdaqueue import integrations

__all__ = ["MODULES", "build"]

TEMPLATES = Path(__file__).parent

GIVEN_AND_TAKEN = (
    "administration",
    "models",
    "options",
    "queue_settings",
    "replay_guard",
    "schedules",
    "services",
    "timers",
    "working",
)
"""Modules of the SDK with what the public names give and take: options, settings, resources."""

NOT_PUBLIC = ("routes",)
"""What all integrations share is in it, and nothing for their users."""

MODULES = (
    "lambdaqueue",
    *(f"lambdaqueue.sdk.{name}" for name in GIVEN_AND_TAKEN),
    "lambdaqueue.testing",
    "lambdaqueue.testing.pytest",
    "lambdaqueue.integrations",
    *(
        f"lambdaqueue.integrations.{found.name}"
        for found in pkgutil.iter_modules(integrations.__path__)
        if found.name not in NOT_PUBLIC
    ),
)


def build(folder: Path) -> None:
    """Write the reference as HTML into `folder`; index.html is where to begin."""
    for name in MODULES:
        # Before pdoc does: it keeps modules from starting processes, and `platform` warns of that.
        import_module(name)
    for name in lambdaqueue.__all__:
        # pdoc sees only what is there already, and these are imported when they're used first.
        getattr(lambdaqueue, name)
    pdoc.render.configure(
        docformat="google",
        template_directory=TEMPLATES,
        show_source=False,
        footer_text=f"LambdaQueue {lambdaqueue.__version__}",
    )
    with warnings.catch_warnings():
        # A key of a TypedDict doesn't tell which class it's from; all of a family are in one file.
        warnings.filterwarnings("ignore", r"Cannot determine where lambdaqueue\.sdk\.\w+\.\w+\.\w")
        _write(folder, {name: pdoc.doc.Module(sys.modules[name]) for name in MODULES})


def _write(folder: Path, pages: dict[str, pdoc.doc.Module]) -> None:
    for name, page in pages.items():
        file = folder / f"{name.replace('.', '/')}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(pdoc.render.html_module(page, pages))
    (folder / "index.html").write_text(pdoc.render.html_index(pages))
    (folder / "search.js").write_text(pdoc.render.search_index(pages))


if __name__ == "__main__":
    build(Path(sys.argv[1]))
