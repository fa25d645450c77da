"""What tests need of lambdaqueue works with the bare SDK: the standard library and `requests`."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[3]

BARE = """
    import sys

    class Nothing:
        def find_spec(self, name, path=None, target=None):
            known = name.partition(".")[0]
            ours = known == "lambdaqueue" or known.startswith("_sysconfigdata")
            if known not in sys.stdlib_module_names and not ours:
                raise ModuleNotFoundError(f"No module named {known!r}", name=known)

    sys.meta_path.insert(0, Nothing())
    sys.modules["croniter"] = None  # is found by nobody
"""


def run(code: str) -> str:
    program = textwrap.dedent(BARE) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_whole_without_croniter() -> None:
    told = run(
        """
        from lambdaqueue.testing import MemoryLambdaQueue, signed_request

        lq = MemoryLambdaQueue()
        queue, seen = lq.queue("/a"), []
        queue.handler(lambda payload, job: seen.append(payload))
        queue.push(1, delay="1m")
        for expression in ("every(1h)", "rate(1 hour)", "cron(0 * * * ? *)"):
            queue.schedule(2, expression)
        lq.clock.advance("2h")
        signed_request(queue, 1)
        print(len(seen), "requests" in sys.modules, sys.modules.get("croniter"))
        """
    )
    assert told == "7 False None\n"


def test_five_cron_fields_tell_what_they_need() -> None:
    told = run(
        """
        from lambdaqueue.errors import ConfigurationError
        from lambdaqueue.testing import MemoryLambdaQueue

        try:
            MemoryLambdaQueue().queue("/a").schedule(1, "0 9 * * 1-5")
        except ConfigurationError as error:
            print(error)
        """
    )
    assert "pip install croniter" in told
    assert "0 9 * * 1-5" in told


def test_nothing_of_it_comes_with_the_client() -> None:
    told = run(
        """
        import lambdaqueue.sdk.client

        print([name for name in sys.modules if name.startswith("lambdaqueue.testing")])
        """
    )
    assert told == "[]\n"
