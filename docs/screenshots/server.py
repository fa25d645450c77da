"""LambdaQueue for the demo, as anybody starts it: `lambdaqueue up` in a folder of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["CannotTakePictures", "Server"]

READY_WITHIN = 90.0
"""Seconds until it must be ready; a slow machine starts four Python processes."""

STOPPED_WITHIN = 30.0
"""Seconds until it must have stopped by itself."""

LOOK_EVERY = 0.1

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
"""Nothing else of our environment: REDIS_URL and LQ_… would make it somebody's real server."""

SAID = {
    "url": re.compile(r"^  URL +(\S+)$", re.M),
    "token": re.compile(r"^  Token +(\S+)$", re.M),
    "secret": re.compile(r"^  Secret +(\S+)$", re.M),
    "first": re.compile(r"^  Panel +(\S+)$", re.M),
}


class CannotTakePictures(Exception):
    """Raised when something that the pictures need isn't there; says what to do."""


@dataclass
class Server:
    """A running `lambdaqueue up` with data in `folder`; `first` makes the first account."""

    folder: Path
    url: str = ""
    token: str = ""
    secret: str = ""
    first: str = ""

    def __enter__(self) -> Self:
        self._output = self.folder / "output"
        with self._output.open("wb") as output:
            # A session of its own: Ctrl-C is for us, who tell it to stop when all else has ended.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lambdaqueue", "up", "--port", "0"],
                cwd=self.folder,
                env={**self._env(), "LQ_GRACE": "2"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def command(self, *words: str, given: str = "") -> None:
        """Call `lambdaqueue` beside it, with `given` as its standard input.

        Raises:
            CannotTakePictures: it failed; with what it said.
        """
        done = subprocess.run(
            [sys.executable, "-m", "lambdaqueue", *words],
            cwd=self.folder,
            env=self._env(),
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CannotTakePictures(f"lambdaqueue {' '.join(words)} failed:\n{done.stderr}")

    def _env(self) -> dict[str, str]:
        return {name: os.environ[name] for name in INHERITED if name in os.environ}

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not self._read_what_it_said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CannotTakePictures(
                    "`lambdaqueue up` didn't get ready. Does `make run` work? It said:\n"
                    + self._output.read_text()
                )
            time.sleep(LOOK_EVERY)

    def _read_what_it_said(self) -> bool:
        """Take address and credentials from what it prints once it's ready."""
        said = self._output.read_text()
        found = {name: pattern.search(said) for name, pattern in SAID.items()}
        for name, match in found.items():
            if match is None:
                return False
            setattr(self, name, match[1])
        return True

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
