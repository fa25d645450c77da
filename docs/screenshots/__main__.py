"""Take the pictures of the docs: `make screenshots`, or `python -m docs.screenshots`.

It starts a LambdaQueue and a shop of its own on free ports, works for a minute, looks at every
page with Chromium and ends what it started. About two and a half minutes.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Error as BrowserError

from docs.screenshots.camera import Camera, chromium
from docs.screenshots.demo import fill
from docs.screenshots.pages import FOLDER, pictures
from docs.screenshots.server import CannotTakePictures, Server
from docs.screenshots.shop import Shop
from lambdaqueue import LambdaQueue
from lambdaqueue.signing import Secret

__all__ = ["main"]

LONGEST = 480
"""Seconds until it gives up: some calls of Playwright wait for ever on a browser that hangs."""


def main() -> int:
    """Take them all; return the exit code."""
    # As Ctrl-C: what was started is in a session of its own and must be told to end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(LONGEST)
    try:
        # Before there is a minute of work: it may be missing.
        with chromium() as browser, tempfile.TemporaryDirectory(prefix="lq-") as folder:
            _say("Starting LambdaQueue ...")
            with Shop() as shop, Server(Path(folder)) as server:
                shop.secrets.append(Secret.parse(server.secret))
                with LambdaQueue(server.token, server.secret, server.url) as lq:
                    shop.lq = lq
                    try:
                        _take(Camera(browser, server), lq, server, shop)
                    finally:
                        # Before the server goes: whoever works for it shouldn't miss it.
                        shop.over.set()
    except CannotTakePictures as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    except BrowserError as error:
        print(f"screenshots: Chromium failed; try it again. It says:\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; pictures that weren't taken again are as they were.", file=sys.stderr)
        return 130
    return 0


def _take(camera: Camera, lq: LambdaQueue, server: Server, shop: Shop) -> None:
    todo = list(pictures())
    for page, look, file in todo:
        if page.name == "first-account":
            camera.take(page, look, {}, file)
    camera.make_first_account()
    ids = fill(lq, server, shop, lambda text: _say(f"  {text}"))
    ids |= camera.rq_ids(ids["export"])
    for page, look, file in todo:
        if page.name != "first-account":
            camera.take(page, look, ids, file)
            _say(f"  {file.relative_to(FOLDER.parent)}  {file.stat().st_size // 1_024} KiB")
    total = sum(file.stat().st_size for _, _, file in todo)
    _say(f"{len(todo)} pictures, {total / 1_048_576:.1f} MiB, in {FOLDER}")


def _too_long(number: int, frame: object) -> None:
    raise CannotTakePictures(
        f"not done after {LONGEST} s: Chromium hangs, or the machine is too busy. Try it again"
    )


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
