"""What `lambdaqueue up` prints when all is ready: where, with what, and what to type next."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from lambdaqueue import __version__
from lambdaqueue.cli.credentials import Credentials

__all__ = ["banner"]


def banner(
    url: str,
    credentials: Credentials,
    data: Path,
    took: float,
    *,
    revoked: bool = False,
    panel: str = "",
) -> str:
    """Return URL, token and secret, and commands that can be copied into any other shell.

    `revoked`: the token that is kept is of no use any more, so how to make one is said instead.
    `panel`: where it is, or the link that makes its first account.
    """
    token, secret, command = credentials.token, credentials.secret, _command()
    shown = token
    if revoked:
        token = f"$({command} token create --data {shlex.quote(str(data))} --name NAME)"
        shown = "was revoked; the line with LQ_TOKEN below makes one, with a NAME of your choice"
    return f"""
LambdaQueue {__version__} is ready after {took:.1f} s. Ctrl-C stops it; its data stays in {data}

  URL     {url}
  Token   {shown}
  Secret  {secret}
  Panel   {panel or f"{url}/admin"}

Next, in another shell:

  export LQ_API_URL={url} LQ_TOKEN={token} LQ_SECRET={secret}

  {command} listen &

  curl {url}/api/v1/queues/hello/items -H "Authorization: Bearer $LQ_TOKEN" \\
    -H 'Content-Type: application/json' -H 'x-lq-target: http://127.0.0.1:9000/' \\
    -d '{{"hello": "world"}}'

  {command} history hello
"""


def _command() -> str:
    """Return how to call this command from another shell, wherever that is."""
    called = Path(sys.argv[0])
    if called.name != "lambdaqueue":
        return f"{shlex.quote(sys.executable)} -m lambdaqueue"
    on_path = shutil.which("lambdaqueue")
    if on_path is not None and Path(on_path).resolve() == called.resolve():
        return "lambdaqueue"
    return shlex.quote(str(called.absolute()))
