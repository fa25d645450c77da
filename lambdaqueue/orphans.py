"""No child outlives the process that started it, not even when that one is killed with SIGKILL.

Run as a program, this file asks Linux to send SIGTERM to itself when its parent is gone, and
then becomes the command it was given: same process id, same open files. A program of its own
rather than `preexec_fn`, because Python code between fork and exec may hang in a process with
threads. Elsewhere than on Linux there is no such request; the child is started as it is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["tied_to_this_process"]

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>; see prctl(2). It holds for the thread that started the child: start
children from a thread that lives as long as they shall."""


def tied_to_this_process(command: Sequence[str]) -> list[str]:
    """Return the command line that runs `command` and ends it when the caller's process ends."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(parent: int, command: list[str]) -> None:
    """Tie this process to `parent` and become `command`."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        sys.exit(f"lambdaqueue: prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    if os.getppid() != parent:  # It died before the request was made.
        sys.exit(1)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"lambdaqueue: {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
